/** Runs `npm install` for one package. */
import { spawn } from 'node:child_process'
import { createLineReader } from '../../system/linereader.ts'
import { MARK, terminateGroup } from '../../system/processgroup.ts'

/** Upper limit of the duration of one `npm install`, in ms. Compiling native modules can take minutes. */
const INSTALL_LIMIT_MS = 15 * 60_000
const TERM_LIMIT_MS = 3_000
const TAIL_LINES = 40

export interface NpmOptions {
  command: string[]
  cache: string
  /** Value of the environment variable BLOUD_MARK, by which all child processes of npm can be found. */
  mark: string
  /** Folder with the C++ headers of Node. If undefined, each native module downloads the headers itself. */
  nodeDir?: string
  signal: AbortSignal
  log: (line: string) => void
}

/** Failed `npm install`. `log` contains the last lines of the output. */
export class InstallError extends Error {
  readonly log: string[]
  constructor(message: string, log: string[]) {
    super(message)
    this.log = log
  }
}

/**
 * Installs the dependencies in the package.json of the folder `dir`. `spec` is the name of the package in
 * error messages.
 * @throws InstallError
 */
export async function npmInstall(dir: string, spec: string, options: NpmOptions): Promise<void> {
  const tail: string[] = []
  const onLine = (line: string) => {
    options.log(line)
    tail.push(line)
    if (tail.length > TAIL_LINES) tail.shift()
  }
  const deadline = AbortSignal.timeout(INSTALL_LIMIT_MS)
  const code = await runNpm(dir, options, AbortSignal.any([options.signal, deadline]), onLine)
  options.signal.throwIfAborted()
  if (deadline.aborted)
    throw new InstallError(`npm did not finish in ${INSTALL_LIMIT_MS / 60_000} minutes`, tail)
  if (code !== 0) throw new InstallError(explain(spec, code, tail), tail)
}

function runNpm(
  dir: string,
  options: NpmOptions,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<number | string> {
  // The program `env` adds variables to the inherited environment, because only config.ts may read
  // process.env. npm_config_nodedir is set even if empty, because the user's npmrc may name the headers of
  // another Node.
  const variables = [`${MARK}=${options.mark}`, `npm_config_nodedir=${options.nodeDir ?? ''}`]
  const args = [...variables, ...options.command, ...installArgs(dir, options.cache)]
  const child = spawn('env', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  const readers = [child.stdout, child.stderr].map((stream) => {
    const reader = createLineReader(onLine)
    stream.on('data', (chunk: Buffer) => reader.push(chunk))
    return reader
  })
  let ending: Promise<void> | undefined
  const end = () => {
    child.kill('SIGTERM') // `env` may not have started npm yet, and then no process has the mark.
    ending ??= terminateGroup({ marks: [options.mark] }, TERM_LIMIT_MS)
    ending.catch((error: Error) => onLine(error.message))
  }
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', async (code, killedBy) => {
      signal.removeEventListener('abort', end)
      for (const reader of readers) reader.end()
      await ending?.catch(() => undefined)
      resolve(code ?? `ended by ${killedBy}`)
    })
  })
}

function installArgs(dir: string, cache: string): string[] {
  return [
    'install',
    `--prefix=${dir}`,
    `--cache=${cache}`,
    '--omit=dev',
    '--install-links', // A local package (file:) is copied, because the target of a link may disappear.
    '--prefer-offline', // Cached packages are installed without a network, because their versions are exact.
    '--foreground-scripts',
    '--loglevel=http', // npm prints one line per download, which shows the progress to the operator.
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--no-progress',
  ]
}

const NETWORK =
  /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT)$/

function explain(spec: string, code: number | string, tail: string[]): string {
  const errors = tail
    .filter((line) => /^npm (error|ERR!)/.test(line))
    .map((line) => line.replace(/^npm \S+ ?/, ''))
  const kind = errors.find((line) => line.startsWith('code '))?.slice('code '.length)
  if (code === 127) return `npm can't be started: ${tail.at(-1) ?? 'not found'}`
  if (kind === 'E404') return `${spec} is not in the npm registry`
  if (kind === 'ETARGET')
    return `npm found no matching version: ${errors.find((line) => line.startsWith('notarget')) ?? spec}`
  if (kind && NETWORK.test(kind)) return `the npm registry can't be reached (${kind})`
  if (kind === 'ENOSPC') return 'the disk is full'
  const first = errors.find(
    (line) => !/^(code|syscall|path|errno|A complete log)\b/.test(line) && line.trim() !== '',
  )
  return `npm could not install ${spec} (${kind ?? `exit code ${code}`})${first ? `: ${first}` : ''}`
}
