/**
 * One app as a process that is kept alive: started, restarted with growing pauses when it ends, stopped with everything
 * it started.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { terminateGroup, type ProcessGroup, killGroup, MARK } from '../../system/processgroup.ts'
import { type LogFile, openLogFile } from './logfile.ts'
import { appDataDir, appLogFile } from './paths.ts'
import { digestOf, type SupervisorState, type UnitSpec } from './statefiles.ts'

/** The pause doubles from the first to the last while an app keeps ending. */
const FIRST_PAUSE_MS = 1_000
const LAST_PAUSE_MS = 60_000
/** An app that ran this long was well: the next pause is the first again. */
const STABLE_MS = 60_000
/** How long an app may take to leave after SIGTERM. */
const TERM_LIMIT_MS = 10_000
/** What a shell reports for a program that can't be started. */
const EXIT_NOT_STARTED = 127

export type UnitView = SupervisorState['apps'][string]

export interface UnitOptions {
  name: string
  spec: UnitSpec
  dataDir: string
  mark: string
  /** Its view has changed. */
  onChange: () => void
}

export interface Unit {
  readonly digest: string
  start(): void
  /** Starts at once if it was pausing. */
  kick(): void
  /** Resolves when nothing of it runs. */
  stop(): Promise<void>
  view(): UnitView
}

export function createUnit({ name, spec, dataDir, mark, onChange }: UnitOptions): Unit {
  const home = appDataDir(dataDir, name)
  const view: UnitView = {
    state: 'stopped',
    pid: null,
    digest: digestOf(spec),
    exitCode: null,
    restarts: 0,
    since: new Date().toISOString(),
  }
  let log: LogFile | null = null
  let child: ChildProcess | null = null
  let pause = FIRST_PAUSE_MS
  let timer: NodeJS.Timeout | undefined
  let stopping = false

  const group = (): ProcessGroup => ({ ...(child?.pid && { pgid: child.pid }), marks: [mark] })
  const note = (line: string) => log?.write(Buffer.from(`[bloud] ${new Date().toISOString()} ${line}\n`))
  const change = (next: Partial<UnitView>) => {
    Object.assign(view, next, { since: new Date().toISOString() })
    onChange()
  }

  async function launch(): Promise<void> {
    try {
      await prepareHome(home, spec)
      if (stopping) return
      log ??= openLogFile(appLogFile(dataDir, name))
    } catch (error) {
      return onEnd(EXIT_NOT_STARTED, (error as Error).message)
    }
    const [program, ...args] = spec.command
    child = spawn(program as string, args, {
      cwd: home,
      env: { ...spec.environment, [MARK]: mark },
      detached: true, // A process group of its own, so that all of it can be ended.
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout?.on('data', (chunk: Buffer) => log?.write(chunk))
    child.stderr?.on('data', (chunk: Buffer) => log?.write(chunk))
    if (child.pid === undefined) {
      child.once('error', (error) => void onEnd(EXIT_NOT_STARTED, error.message))
      return
    }
    child.once('exit', (code, signal) => void onEnd(code ?? 128 + (signal ? constants.signals[signal] : 0)))
    note(`started, process ${child.pid}`)
    change({ state: 'running', pid: child.pid })
  }

  async function onEnd(exitCode: number, reason = `ended with exit code ${exitCode}`): Promise<void> {
    if (stopping) return
    const ranMs = Date.now() - Date.parse(view.since)
    if (view.state === 'running' && ranMs >= STABLE_MS) pause = FIRST_PAUSE_MS
    note(`${reason}; next start in ${pause / 1000} s`)
    change({ state: 'backoff', pid: null, exitCode })
    // Children it left behind would hold its port.
    await killGroup(group()).catch((error: Error) => note(error.message))
    child = null // From here on its process id may become someone else's.
    if (stopping || view.state !== 'backoff') return
    timer = setTimeout(restart, pause)
    pause = Math.min(pause * 2, LAST_PAUSE_MS)
  }

  function restart(): void {
    timer = undefined
    view.restarts++
    void launch()
  }

  return {
    digest: view.digest,
    start: () => void launch(),
    kick() {
      pause = FIRST_PAUSE_MS
      if (!timer) return
      clearTimeout(timer)
      timer = undefined
      Object.assign(view, { state: 'stopped', restarts: 0, exitCode: null })
      void launch()
    },
    async stop() {
      stopping = true
      clearTimeout(timer)
      await terminateGroup(group(), TERM_LIMIT_MS)
      note('stopped')
      log?.close()
      log = null
      change({ state: 'stopped', pid: null })
    },
    view: () => ({ ...view }),
  }
}

/**
 * Node looks for a package.json in every folder above a file, to know what kind of module it is. The data directory
 * may lie below somebody's package (this one's, by default), which is not to decide how an app reads its settings.
 */
const SHIELD = { file: 'package.json', content: '{ "private": true, "type": "commonjs" }\n' }

/** The data directory, and the files the app can't start without: once written they are the user's. */
async function prepareHome(home: string, spec: UnitSpec): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 })
  await writeFile(join(dirname(home), SHIELD.file), SHIELD.content)
  for (const [path, content] of Object.entries(spec.files)) {
    await mkdir(dirname(join(home, path)), { recursive: true })
    await writeFile(join(home, path), content, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}
