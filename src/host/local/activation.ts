/**
 * Waits until the supervisor (process that runs the apps) has started the apps of a new generation (complete
 * configuration of the local host). Returns the apps that did not start.
 */
import type { CatalogApp } from '../../domain/catalog.ts'
import { own } from '../../domain/record.ts'
import { isLocked } from '../../system/filelock.ts'
import { canTell } from '../../system/portowner.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { RunFailure } from '../contract.ts'
import { lastLines } from '../logreader.ts'
import { loadHttp, probe } from '../probe.ts'
import { appLogFile, type Paths } from './paths.ts'
import { digestOf, type Manifest, type SupervisorState, supervisorState } from './statefiles.ts'
import { ownerOfPort } from './unitstate.ts'

/** Time in ms that the supervisor may take to stop and start apps. Stopping an app takes up to 15 s. */
const APPLY_LIMIT_MS = 45_000
/** Time in ms after which an app that runs counts as started, unless it passes its health check before. */
const SETTLED_MS = 1_500
const SETTLE_LIMIT_MS = 15_000
const SHOWN_LINES = 20

/** Longest time in ms between two reads of the state of the supervisor. */
const READ_INTERVAL_MS = 10

export interface Activation {
  apps: Manifest['apps']
  changed: string[]
  /** Health checks of the apps, as far as known: an older generation has none. */
  checks: Record<string, CatalogApp['healthCheck']>
}

/**
 * Waits until the supervisor has stopped and started apps for the activation `id`. Returns false if it did
 * not finish in time.
 */
export async function awaitApplied(paths: Paths, id: string): Promise<boolean> {
  // Both take 20 to 30 ms, in which the apps start.
  void loadHttp()
  void canTell()
  const isApplied = async () => (await readState(paths))?.activation === id
  return (await pollUntil(isApplied, APPLY_LIMIT_MS, READ_INTERVAL_MS)) ?? false
}

/** Waits for the started apps. Returns the failures of apps that did not start, by app name. */
export async function awaitApps(
  paths: Paths,
  dataDir: string,
  activation: Activation,
): Promise<Record<string, RunFailure>> {
  const failures: Record<string, RunFailure> = {}
  await Promise.all(
    activation.changed.map(async (name) => {
      const message = await awaitUnit(paths, dataDir, name, activation)
      if (!message) return
      const log = await lastLines(appLogFile(dataDir, name), SHOWN_LINES).catch(() => [])
      failures[name] = { class: 'activate', message, log }
    }),
  )
  return failures
}

/** Returns null if no supervisor runs, because the state file is then outdated. */
async function readState(paths: Paths): Promise<SupervisorState | null> {
  return isLocked(paths.supervisorLock) ? supervisorState(paths) : null
}

/** Waits until an app is healthy, or has run for a while. Returns why it did not start, or null. */
async function awaitUnit(
  paths: Paths,
  dataDir: string,
  name: string,
  { apps, checks }: Activation,
): Promise<string | null> {
  const digest = digestOf(own(apps, name))
  const port = own(apps, name)?.port ?? 0
  const verdict = await pollUntil(
    async () => {
      const unit = own((await readState(paths))?.apps ?? {}, name)
      if (!unit || unit.digest !== digest) return null
      if (unit.state === 'stopped') return null // The supervisor has not started the app yet.
      if (unit.restarts > 0 || unit.state === 'backoff')
        return `ended at once with exit code ${unit.exitCode}`
      const settlesInMs = SETTLED_MS - Math.abs(Date.now() - Date.parse(unit.since))
      if (settlesInMs <= 0) return 'started'
      // An app that answers late must not delay the end, because a probe usually waits longer.
      const check = own(checks, name)
      return (await isHealthy(paths, dataDir, { name, port }, check, settlesInMs)) ? 'started' : null
    },
    SETTLE_LIMIT_MS,
    READ_INTERVAL_MS,
  )
  if (verdict === 'started') return null
  return verdict ?? `was not started within ${SETTLE_LIMIT_MS / 1000} s`
}

/** True if processes of the app itself listen on its port, and pass its health check if that is known. */
async function isHealthy(
  paths: Paths,
  dataDir: string,
  app: { name: string; port: number },
  check: CatalogApp['healthCheck'] | undefined,
  limitMs: number,
): Promise<boolean> {
  // A connection is cheap, and the search for the owner of the port reads the files of many processes.
  const connection = check && ({ ...check, kind: 'tcp' } as const)
  if (connection && (await probe(app.port, connection, undefined, limitMs)) !== null) return false
  const port = await ownerOfPort(paths, dataDir, app)
  if (port.owner !== 'group') return false
  return check === undefined || (await probe(app.port, check, port.addresses, limitMs)) === null
}
