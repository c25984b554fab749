/** Sees to it that a supervisor runs while the agent does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isLocked } from '../../system/filelock.ts'
import { killGroup, readMark, sendSignal } from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'
import { olderLogFile } from '../logreader.ts'
import type { Environment } from './environment.ts'
import type { Paths } from './paths.ts'
import { supervisorState } from './statefiles.ts'

const PROGRAM = fileURLToPath(new URL('./supervisormain.ts', import.meta.url))
/** It may first have to stop apps that a killed supervisor left: 10 s of SIGTERM, 5 s of SIGKILL. */
const START_LIMIT_MS = 20_000
/** All apps at once: 10 s of SIGTERM, 5 s of SIGKILL, and some to spare. */
const STOP_LIMIT_MS = 20_000
/** How soon a supervisor that was killed is noticed. */
const WATCH_MS = 3_000
const MAX_LOG_BYTES = 1024 * 1024

export interface SupervisorProcessOptions {
  paths: Paths
  nodePath: string
  environment: Environment
  /** Whether a supervisor that somebody else has started is stopped too. */
  ownsAll: boolean
}

export function createSupervisorProcess({ paths, nodePath, environment, ownsAll }: SupervisorProcessOptions) {
  let child: ChildProcess | null = null
  let timer: NodeJS.Timeout | undefined
  let starting: Promise<void> | undefined

  function launch(): void {
    mkdirSync(paths.supervisor, { recursive: true })
    const log = openSync(rotated(paths.supervisorLog), 'a', 0o600)
    const started = spawn(nodePath, [PROGRAM, '--state', paths.state], {
      cwd: paths.state,
      env: environment,
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    child = started
    started.once('exit', () => {
      if (child === started) child = null
    })
    started.once('error', () => {
      if (child === started) child = null // it never began, and never exits
    })
    started.unref()
  }

  async function isUp(): Promise<boolean> {
    return isLocked(paths.supervisorLock) && (await supervisorState(paths).catch(() => null)) !== null
  }

  async function ensure(): Promise<void> {
    if (!isLocked(paths.supervisorLock) && !child) launch()
    if (await pollUntil(isUp, START_LIMIT_MS)) return
    throw new Error(
      `The supervisor did not start within ${START_LIMIT_MS / 1000} s; see ${paths.supervisorLog}`,
    )
  }

  /** While the lock is held, the pid in the state file is that of its holder. */
  async function adopted(): Promise<number | undefined> {
    return isLocked(paths.supervisorLock) ? (await supervisorState(paths))?.pid : undefined
  }

  return {
    /** @throws when it does not come up in time. */
    async start(): Promise<void> {
      starting ??= ensure().finally(() => {
        starting = undefined
      })
      await starting
      timer ??= setInterval(() => void ensure().catch(() => undefined), WATCH_MS).unref()
    },
    /** Stops it, and with it all apps, if it is this keeper's own, or everything here is. */
    async stop(): Promise<void> {
      clearInterval(timer)
      timer = undefined
      await starting?.catch(() => undefined)
      const pid = child?.pid ?? (ownsAll ? await adopted() : undefined)
      if (!pid) return
      sendSignal(pid, 'SIGTERM')
      if (await pollUntil(() => !isLocked(paths.supervisorLock) && child === null, STOP_LIMIT_MS)) return
      sendSignal(pid, 'SIGKILL')
      await killGroup({ marks: [`${await readMark(paths.mark)}/unit`] })
    },
  }
}

function rotated(file: string): string {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > MAX_LOG_BYTES) renameSync(file, olderLogFile(file))
  return file
}
