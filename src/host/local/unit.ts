/** Keeps the process of one app running, with increasing pauses between restarts. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { monotonicMs } from '../../system/monotonic.ts'
import { killGroup, MARK, type ProcessGroup, terminateGroup } from '../../system/processgroup.ts'
import { prepareHome } from './appfiles.ts'
import { asUser, type Confinement } from './confinement.ts'
import { type LogFile, openLogFile } from './logfile.ts'
import { appDataDir, appLogFile } from './paths.ts'
import { digestOf, type SupervisorState, type UnitSpec } from './statefiles.ts'

/**
 * Pause in ms before the first restart of an app. Each further pause is twice as long, up to LAST_PAUSE_MS.
 */
const FIRST_PAUSE_MS = 1_000
const LAST_PAUSE_MS = 60_000
/** Time in ms that an app must run until the pause is reset to FIRST_PAUSE_MS. */
const STABLE_MS = 60_000
const TERM_LIMIT_MS = 10_000
/** Exit code that shells use for a program that can't be started. */
const EXIT_NOT_STARTED = 127

export type UnitView = SupervisorState['apps'][string]

export interface UnitOptions {
  name: string
  spec: UnitSpec
  dataDir: string
  confinement: Confinement | null
  mark: string
  onChange: () => void
}

export interface Unit {
  readonly digest: string
  start(): void
  /** If the app waits for its next restart, restarts the app at once. */
  restartNow(): void
  stop(): Promise<void>
  view(): UnitView
}

export function createUnit({ name, spec, dataDir, confinement, mark, onChange }: UnitOptions): Unit {
  const home = appDataDir(dataDir, name)
  const view: UnitView = {
    state: 'stopped',
    pid: null,
    digest: digestOf(spec),
    exitCode: null,
    restarts: 0,
    since: new Date().toISOString(),
    startedAt: monotonicMs(),
    resets: 0,
  }
  let log: LogFile | null = null
  let child: ChildProcess | null = null
  let pause = FIRST_PAUSE_MS
  let timer: NodeJS.Timeout | undefined
  let stopping = false

  const group = (): ProcessGroup => ({ ...(child?.pid && { pgid: child.pid }), marks: [mark] })
  const writeNote = (line: string) => log?.write(Buffer.from(`[bloud] ${new Date().toISOString()} ${line}\n`))
  const change = (next: Partial<UnitView>) => {
    Object.assign(view, next, { since: new Date().toISOString() })
    onChange()
  }

  async function launch(): Promise<void> {
    try {
      await prepareHome(home, spec.files, confinement)
      if (stopping) return
      log ??= openLogFile(appLogFile(dataDir, name))
    } catch (error) {
      return onEnd(EXIT_NOT_STARTED, (error as Error).message)
    }
    const [program, args, user] = asUser(confinement, spec.command, home, spec.command.slice(0, 1))
    child = spawn(program, args, {
      ...user,
      env: { ...spec.environment, [MARK]: mark },
      detached: true, // The app gets its own process group, so that its child processes can be terminated too.
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout?.on('data', (chunk: Buffer) => log?.write(chunk))
    child.stderr?.on('data', (chunk: Buffer) => log?.write(chunk))
    if (child.pid === undefined) {
      child.once('error', (error) => void onEnd(EXIT_NOT_STARTED, error.message))
      return
    }
    child.once('exit', (code, signal) => void onEnd(code ?? 128 + (signal ? constants.signals[signal] : 0)))
    writeNote(`started, process ${child.pid}`)
    change({ state: 'running', pid: child.pid })
  }

  async function onEnd(exitCode: number, reason = `ended with exit code ${exitCode}`): Promise<void> {
    if (stopping) return
    const ranMs = Date.now() - Date.parse(view.since)
    if (view.state === 'running' && ranMs >= STABLE_MS) pause = FIRST_PAUSE_MS
    writeNote(`${reason}; next start in ${pause / 1000} s`)
    change({ state: 'backoff', pid: null, exitCode })
    // Child processes of the app are killed before the restart, because they could still use the app's port.
    await killGroup(group()).catch((error: Error) => writeNote(error.message))
    child = null // From now on the kernel may reuse the process id.
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
    restartNow() {
      pause = FIRST_PAUSE_MS
      // Only restarts after this call show that the new generation of the app ends at once.
      if (view.state === 'running') Object.assign(view, { restarts: 0, resets: (view.resets ?? 0) + 1 })
      if (!timer) return
      clearTimeout(timer)
      timer = undefined
      Object.assign(view, { state: 'stopped', restarts: 0, exitCode: null, startedAt: monotonicMs() })
      void launch()
    },
    async stop() {
      stopping = true
      clearTimeout(timer)
      await terminateGroup(group(), TERM_LIMIT_MS)
      writeNote('stopped')
      log?.close()
      log = null
      change({ state: 'stopped', pid: null, exitCode: null }) // An exit code would be that of a crash.
    },
    view: () => ({ ...view }),
  }
}
