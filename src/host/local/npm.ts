/** Runs `npm install` for one package. A failure is explained in one sentence. */
import { spawn } from 'node:child_process'
import { createLineReader } from '../../system/linereader.ts'
import { MARK, terminateGroup } from '../../system/processgroup.ts'

/** Limit of one install in ms: a big package on a slow line, with native modules that compile for minutes. */
const INSTALL_LIMIT_MS = 15 * 60_000
/** Limit for npm to end after SIGTERM, in ms. */
const TERM_LIMIT_MS = 3_000
/** Number of output lines that are kept to show why an install failed. */
const TAIL_LINES = 40

export interface NpmOptions {
  /** E.g. ['npm']. */
  command: string[]
  cache: string
  /** Mark of npm and of all processes that npm starts. */
  mark: string
  /** Folder with the headers of the running Node. Without it, install scripts fetch them. */
  nodeDir?: string
  /** If aborted, npm and its children are terminated. */
  signal: AbortSignal
  log: (line: string) => void
}

/** The reason why an install failed: `message` for the operator, `log` with the output that shows it. */
export class InstallError extends Error {
  readonly log: string[]
  constructor(message: string, log: string[]) {
    super(message)
    this.log = log
  }
}

/** Installs the dependencies of `dir`/package.json. @throws InstallError */
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
  // The program `env` adds variables to the environment that npm inherits, so this code need not read
  // process.env. nodedir is always set, because the one in the user's npmrc may belong to another Node.
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
    '--install-links', // Copy a file: package like any other, because the target of a link may disappear.
    '--prefer-offline', // Packages in the cache are exact already, and install without a network.
    '--foreground-scripts',
    '--loglevel=http', // One line per download shows the operator the progress.
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
