/**
 * Waits until the supervisor process runs the apps of a new host generation. Returns the apps that did not
 * start.
 */
import { isLocked } from '../../system/filelock.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { RunFailure } from '../contract.ts'
import { lastLines } from '../logreader.ts'
import { appLogFile, type Paths } from './paths.ts'
import { digestOf, type Manifest, type SupervisorState, supervisorState } from './statefiles.ts'

/**
 * Time in ms within which the supervisor must stop and start the apps of a new host generation. Stopping an
 * app takes up to 15 s.
 */
const APPLY_LIMIT_MS = 45_000
/** Running time in ms after which an app counts as started. */
const SETTLED_MS = 1_500
const SETTLE_LIMIT_MS = 15_000
const SHOWN_LINES = 20

export interface Activation {
  /** Id of this activation, which the supervisor writes to its state file when the activation is complete. */
  id: string
  apps: Manifest['apps']
  /** Names of the apps that this activation starts. */
  changed: string[]
}

/**
 * Waits for the supervisor and returns the reasons why apps did not start, by app name. Returns null if the
 * supervisor did not finish in time.
 */
export async function awaitActivation(
  paths: Paths,
  dataDir: string,
  activation: Activation,
): Promise<Record<string, RunFailure> | null> {
  const applied = async () => (await readState(paths))?.activation === activation.id
  if (!(await pollUntil(applied, APPLY_LIMIT_MS))) return null
  const failures: Record<string, RunFailure> = {}
  for (const name of activation.changed) {
    const message = await awaitUnit(paths, name, digestOf(activation.apps[name]))
    if (!message) continue
    const log = await lastLines(appLogFile(dataDir, name), SHOWN_LINES)
    failures[name] = { class: 'activate', message, log }
  }
  return failures
}

/**
 * Reads the supervisor's state file. Returns null if no supervisor runs, because the file is outdated in that
 * case.
 */
async function readState(paths: Paths): Promise<SupervisorState | null> {
  return isLocked(paths.supervisorLock) ? supervisorState(paths) : null
}

/** Waits until an app has started. Returns null if the app has started, or the reason of the failure. */
async function awaitUnit(paths: Paths, name: string, digest: string): Promise<string | null> {
  const verdict = await pollUntil(async () => {
    const unit = (await readState(paths))?.apps[name]
    if (!unit || unit.digest !== digest) return null
    if (unit.state === 'stopped') return null // The supervisor has not started the app yet.
    if (unit.restarts > 0 || unit.state === 'backoff') return `ended at once with exit code ${unit.exitCode}`
    return Date.now() - Date.parse(unit.since) >= SETTLED_MS ? 'started' : null
  }, SETTLE_LIMIT_MS)
  if (verdict === 'started') return null
  return verdict ?? `was not started within ${SETTLE_LIMIT_MS / 1000} s`
}
