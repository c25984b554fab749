/** Starts the supervisor (process that runs the apps), and restarts the supervisor whenever it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isAlive } from '../../system/childprocess.ts'
import { isLocked } from '../../system/filelock.ts'
import { NODE_FLAGS } from '../../system/nodeflags.ts'
import { killGroup, readMark, sendSignal } from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'
import { olderLogFile } from '../logreader.ts'
import { grantAccess } from './appuser.ts'
import type { Paths } from './paths.ts'
import type { Prepared } from './preparation.ts'
import { supervisorState } from './statefiles.ts'

const PROGRAM = fileURLToPath(new URL('./supervisormain.ts', import.meta.url))
/**
 * Time in ms that the start of a supervisor may take, of which up to 15 s are for stopping apps that a killed
 * supervisor left running.
 */
const START_LIMIT_MS = 20_000
/** Time in ms that the stop of a supervisor may take, of which up to 15 s are for stopping the apps. */
const STOP_LIMIT_MS = 20_000
const CHECK_INTERVAL_MS = 3_000
const MAX_LOG_BYTES = 1024 * 1024

export interface SupervisorProcessOptions {
  paths: Paths
  prepare(): Promise<Prepared>
  /** True if stop() also stops a supervisor that a previous agent started. */
  ownsAll: boolean
}

export function createSupervisorProcess({ paths, prepare, ownsAll }: SupervisorProcessOptions) {
  let child: ChildProcess | null = null
  let timer: NodeJS.Timeout | undefined
  let starting: Promise<void> | undefined

  async function launch(): Promise<void> {
    const { nodePath, supervisorEnvironment, confinement } = await prepare()
    mkdirSync(paths.supervisor, { recursive: true })
    const log = openSync(rotated(paths.supervisorLog), 'a', 0o600)
    const args = ['--state', paths.state, '--as', JSON.stringify(confinement)]
    const started = spawn(nodePath, [...NODE_FLAGS, PROGRAM, ...args], {
      cwd: paths.state,
      env: supervisorEnvironment,
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    child = started
    started.once('exit', () => {
      if (child === started) child = null
    })
    started.once('error', () => {
      if (child === started) child = null // A process that could not be started gives no exit event.
    })
    started.unref()
  }

  /** Process id of a supervisor that has completed its start, or null. */
  let upPid: number | null = null
  /** The same, if it is known to be no outdated one. */
  let ensuredPid: number | null = null

  /** True if the supervisor has completed its start. The state file can still be that of an earlier one. */
  async function isUp(): Promise<boolean> {
    if (!isLocked(paths.supervisorLock)) return false
    // The state is read again only for another supervisor, because the check is made every few seconds.
    if (upPid !== null && isAlive(upPid) && (child === null || child.pid === upPid)) return true
    const state = await supervisorState(paths).catch(() => null)
    const isReady = state?.ready === true && (child ? state.pid === child.pid : isAlive(state.pid))
    upPid = isReady ? state.pid : null
    return isReady
  }

  /**
   * Ends a supervisor of an earlier agent whose apps run as another user than now, for example as root. The
   * files of these apps are handed over.
   */
  async function endOutdated(): Promise<void> {
    const { confinement } = await prepare()
    if (!confinement || !isLocked(paths.supervisorLock) || !(await pollUntil(isUp, START_LIMIT_MS))) return
    const state = await supervisorState(paths)
    if (!state || state.uid === confinement.uid) return
    await end(state.pid)
    await grantAccess(confinement, paths, dirname(paths.state))
  }

  async function ensure(): Promise<void> {
    if (upPid !== null && upPid === ensuredPid && (await isUp())) return
    if (!child) await endOutdated()
    if (!isLocked(paths.supervisorLock) && !child) await launch()
    const hasStarted = await pollUntil(isUp, START_LIMIT_MS)
    ensuredPid = upPid
    if (hasStarted) return
    throw new Error(
      `The supervisor did not start within ${START_LIMIT_MS / 1000} s; its log is ${paths.supervisorLog}`,
    )
  }

  /**
   * Returns the process id of a supervisor that a previous agent started. Returns undefined if no supervisor
   * runs.
   */
  async function adopted(): Promise<number | undefined> {
    return isLocked(paths.supervisorLock) ? (await supervisorState(paths))?.pid : undefined
  }

  async function end(pid: number): Promise<void> {
    sendSignal(pid, 'SIGTERM')
    if (await pollUntil(() => !isLocked(paths.supervisorLock) && child === null, STOP_LIMIT_MS)) return
    sendSignal(pid, 'SIGKILL')
    await killGroup({ marks: [`${await readMark(paths.mark)}/unit`] })
  }

  return {
    /** Returns true if a supervisor runs and has written its state. */
    isUp,
    /**
     * Starts a supervisor if none runs, and restarts the supervisor whenever it ends.
     * @throws if the supervisor does not start in time.
     */
    async start(): Promise<void> {
      starting ??= ensure().finally(() => {
        starting = undefined
      })
      await starting
      timer ??= setInterval(() => void ensure().catch(() => undefined), CHECK_INTERVAL_MS).unref()
    },
    /**
     * Stops the supervisor and all apps. A supervisor that another agent started is stopped only with
     * `ownsAll`.
     */
    async stop(): Promise<void> {
      clearInterval(timer)
      timer = undefined
      await starting?.catch(() => undefined)
      const pid = child?.pid ?? (ownsAll ? await adopted() : undefined)
      if (pid) await end(pid)
    },
  }
}

function rotated(file: string): string {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > MAX_LOG_BYTES) renameSync(file, olderLogFile(file))
  return file
}
