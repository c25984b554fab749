/** After the link was switched: waits until the supervisor runs the new generation, and names what didn't start. */

import { isLocked } from '../../system/filelock.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { RunFailure } from '../contract.ts'
import { lastLines } from '../logreader.ts'
import { appLogFile, type Paths } from './paths.ts'
import { digestOf, type Manifest, type SupervisorState, supervisorState } from './statefiles.ts'

/** Stopping an app takes up to 15 s, a supervisor that has just crashed is back after 5 s. */
const APPLY_LIMIT_MS = 45_000
/** An app that lives this long has started; whether it is well is for its health check to say. */
const SETTLED_MS = 1_500
const SETTLE_LIMIT_MS = 15_000
const SHOWN_LINES = 20

export interface Activation {
  /** Name of this activation, as the supervisor will acknowledge it. */
  id: string
  apps: Manifest['apps']
  /** Apps that are new or changed, or were not running before. */
  changed: string[]
}

/** The failures by app; null when the supervisor did not take the generation over in time. */
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

/** A state file of a supervisor that is no more says nothing. */
async function readState(paths: Paths): Promise<SupervisorState | null> {
  return isLocked(paths.supervisorLock) ? supervisorState(paths) : null
}

/** What is wrong with it; null when it has started. */
async function awaitUnit(paths: Paths, name: string, digest: string): Promise<string | null> {
  const verdict = await pollUntil(async () => {
    const unit = (await readState(paths))?.apps[name]
    if (!unit || unit.digest !== digest) return null
    if (unit.state === 'stopped') return null // Not started yet.
    if (unit.restarts > 0 || unit.state === 'backoff') return `ended at once with exit code ${unit.exitCode}`
    return Date.now() - Date.parse(unit.since) >= SETTLED_MS ? 'started' : null
  }, SETTLE_LIMIT_MS)
  if (verdict === 'started') return null
  return verdict ?? `was not started within ${SETTLE_LIMIT_MS / 1000} s`
}
