/** Runs `npm install` for one package, and then the install scripts of the packages that may run theirs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isFull, reportsFullDisk, watchDisk } from '../../system/diskspace.ts'
import { createLineReader } from '../../system/linereader.ts'
import { MARK, terminateGroup } from '../../system/processgroup.ts'
import { withTimeout } from '../../system/timeout.ts'
import { asUser, type Confinement } from './confinement.ts'
import { explainFullDisk, InstallError } from './installerror.ts'
import { explainFailure } from './npmerror.ts'

/** Upper limit of the duration of one step of an install, in ms. Compiling can take minutes. */
const INSTALL_LIMIT_MS = 15 * 60_000
const TERM_LIMIT_MS = 3_000
/**
 * Time in ms to wait for the end of the output after npm has ended. A background process of an install script
 * can keep the output open for ever.
 */
const OUTPUT_LIMIT_MS = 2_000
const TAIL_LINES = 40

export interface NpmOptions {
  command: string[]
  cache: string
  /** Value of the environment variable BLOUD_MARK, by which all child processes of npm can be found. */
  mark: string
  /** Folder with the C++ headers of Node. If undefined, each native module downloads the headers itself. */
  nodeDir?: string
  /** Names of the packages whose install scripts run. Scripts of all other packages do not run. */
  installScripts?: string[]
  /** User and folders of npm, or null if npm runs as the user of this process. */
  confinement?: Confinement | null
  signal: AbortSignal
  log: (line: string) => void
}

/**
 * Installs the dependencies in the package.json of the folder `dir`. `spec` is the name of the package in
 * error messages.
 * @throws InstallError
 */
export async function npmInstall(dir: string, spec: string, options: NpmOptions): Promise<void> {
  const tail: string[] = []
  const disk = await watchDisk(dirname(dir))
  let diskFull = false
  const onLine = (line: string) => {
    options.log(line)
    if (reportsFullDisk(line)) diskFull = true
    tail.push(line)
    if (tail.length > TAIL_LINES) tail.shift()
  }
  try {
    for (const args of steps(dir, options)) {
      const code = await runInTime(dir, args, options, onLine, tail)
      if (code === 0 && !diskFull) continue
      // npm reports a full disk as a warning only, and may end with exit code 0 although files are missing.
      if (!diskFull && !isFull(disk.lowest())) throw new InstallError(explainFailure(spec, code, tail), tail)
      await emptyFolder(options.cache) // The next install needs the space.
      throw new InstallError(explainFullDisk(spec, disk.before, disk.lowest()), tail)
    }
  } finally {
    disk.stop()
  }
}

async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => []))
    await rm(join(folder, name), { recursive: true, force: true })
}

async function runInTime(
  dir: string,
  args: string[],
  options: NpmOptions,
  onLine: (line: string) => void,
  tail: string[],
): Promise<number | string> {
  const deadline = AbortSignal.timeout(INSTALL_LIMIT_MS)
  const code = await runNpm(dir, args, options, AbortSignal.any([options.signal, deadline]), onLine)
  options.signal.throwIfAborted()
  if (!deadline.aborted) return code
  throw new InstallError(`npm did not finish in ${INSTALL_LIMIT_MS / 60_000} minutes`, tail)
}

/**
 * Returns the arguments of npm for each step. The first step runs no scripts at all, because npm has no list
 * of packages whose scripts may run.
 */
function steps(dir: string, { cache, installScripts = [] }: NpmOptions): string[][] {
  const common = [
    `--prefix=${dir}`,
    `--cache=${cache}`,
    '--omit=dev',
    '--prefer-offline', // Cached packages are installed without a network, because their versions are exact.
    '--foreground-scripts',
    '--loglevel=http', // npm prints one line per download, which shows the progress to the operator.
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--no-progress',
  ]
  // A local package (file:) is copied, because the target of a link may disappear.
  const install = ['install', '--ignore-scripts', '--install-links', ...common]
  // The user's npmrc may turn scripts off, and the catalog lists the packages that do not work without.
  const rebuild = ['rebuild', '--no-ignore-scripts', ...common, '--', ...installScripts]
  return installScripts.length > 0 ? [install, rebuild] : [install]
}

async function runNpm(
  dir: string,
  args: string[],
  options: NpmOptions,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<number | string> {
  // The program `env` adds variables to the inherited environment, because only config.ts may read
  // process.env. npm_config_nodedir is set even if empty, because the user's npmrc may name the headers of
  // another Node.
  const variables = [`${MARK}=${options.mark}`, `npm_config_nodedir=${options.nodeDir ?? ''}`]
  const { confinement = null, nodeDir } = options
  const command = ['env', ...variables, ...options.command, ...args]
  const [program, programArgs, user] = asUser(confinement, command, dir, nodeDir ? [nodeDir] : [])
  const child = spawn(program, programArgs, {
    ...user,
    detached: true, // npm gets its own process group, in which its background processes are found.
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const streams = [child.stdout, child.stderr]
  const readers = streams.map((stream) => {
    const reader = createLineReader(onLine)
    stream.on('data', (chunk: Buffer) => reader.push(chunk))
    return reader
  })
  const group = { ...(child.pid && { pgid: child.pid }), marks: [options.mark], directory: dir }
  const closed = once(child, 'close').catch(() => undefined)
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, killedBy) => resolve(code ?? `ended by ${killedBy}`))
  })
  let ending: Promise<void> | undefined
  const end = () => {
    ending ??= terminateGroup(group, TERM_LIMIT_MS).catch((error: Error) => onLine(error.message))
  }
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  const code = await ended
  signal.removeEventListener('abort', end)
  if (
    (await withTimeout(
      closed.then(() => true),
      OUTPUT_LIMIT_MS,
    )) === undefined
  )
    onLine('warning: an install script left a process in the background, which is ended')
  end()
  await ending
  for (const stream of streams) stream.destroy()
  for (const reader of readers) reader.end()
  return code
}
