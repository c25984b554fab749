/**
 * Command `npm run orchestrator`: starts the worker that executes operations and checks the health of the
 * apps. The worker and the relay communicate only through the database.
 */
import { hostname } from 'node:os'
import { hideEnvironment, hostEnvironment } from '../config/childenvironment.ts'
import { readConfig } from '../config.ts'
import { createLazyPool, type LazyPool } from '../db/lazypool.ts'
import { openListener } from '../db/listener.ts'
import type { Pool } from '../db/pool.ts'
import { createHost } from '../host/index.ts'
import { createLogger, type Logger } from '../log.ts'
import { createOrchestrator } from '../orchestrator/orchestrator.ts'
import { createSystemdNotifier } from '../system/sdnotify.ts'
import { isRoot } from '../system/systemuser.ts'
import { withTimeout } from '../system/timeout.ts'
import { sendFailed, sendReady, stopOnRequest } from './ipc.ts'

/**
 * Upper limit of the number of the orchestrator's database connections: one for rebuilds, one for health
 * checks, three for reports of these checks, and one for the lease (lock in the database that makes one
 * orchestrator the active one).
 */
const POOL_SIZE = 6

const DATABASE_PAUSE_MS = 1_000
/** Upper limit in ms of the wait for the first work, which an obstacle can delay without limit. */
const FIRST_WORK_LIMIT_MS = 5_000
/**
 * Number of last characters of the worker's name that are in the name of its sessions, of which PostgreSQL
 * keeps 63. The end of the worker's name is different in each process.
 */
const WORKER_LENGTH = 44

/**
 * Opens the connection pool. Retries until the database is reachable, because the machine may start the agent
 * before the database.
 */
async function openWhenThere(later: LazyPool, log: Logger): Promise<Pool> {
  for (let logged = false; ; logged = true) {
    try {
      return await later.open()
    } catch (error) {
      if (!logged) log.warn({ err: error }, 'the database is not reachable yet: waiting for it')
      await new Promise((resolve) => setTimeout(resolve, DATABASE_PAUSE_MS))
    }
  }
}

async function main(): Promise<void> {
  const config = readConfig()
  hideEnvironment()
  if (!config.databaseUrl) {
    throw new Error(
      'DATABASE_URL is not set: "npm start" has its own database, "npm run orchestrator" needs one.',
    )
  }
  const log = createLogger('orchestrator', config.logLevel)
  // Files of the agent are not readable for apps, which run as another user if the agent is root.
  if (config.hostKind === 'local' && isRoot()) process.umask(0o077)
  const notifier = createSystemdNotifier({ ...config.supervision, log })
  const host = await createHost({ ...config, environment: hostEnvironment(), log: (line) => log.info(line) })
  const worker = `${hostname()}:${process.pid}:${Date.now().toString(36)}`
  const sessionName = `bloud-orchestrator-${worker.slice(-WORKER_LENGTH)}`
  const later = createLazyPool(config.databaseUrl, sessionName, POOL_SIZE)
  const pool = await openWhenThere(later, log)
  let recovered = false
  const firstWork = Promise.withResolvers<void>()
  const notifyIfReady = () => recovered && listener.isListening() && notifier.ready()
  const progress = {
    alive: notifier.alive,
    phase: notifier.status,
    recovered() {
      recovered = true
      firstWork.resolve()
      notifyIfReady()
    },
  }
  const orchestrator = createOrchestrator({ ...config, worker, pool, host, log, progress })
  // The session has the name by which bloud.is_connected() finds the worker, because the sessions of the pool
  // are closed while there is nothing to do.
  const listener = openListener(config.databaseUrl, sessionName, ['bloud_work', 'bloud'], {
    onNotification: orchestrator.notify,
    onListening() {
      orchestrator.notify()
      notifyIfReady()
    },
    onLost: (reason) => log.warn({ reason }, 'LISTEN session lost'),
  })
  stopOnRequest(async () => {
    notifier.stopping()
    await orchestrator.stop()
    await listener.close()
    await later.end()
    await host.stop()
  })
  orchestrator.start()
  // The catalog is loaded then, so that `npm start` does not report a start after which no app is known.
  await withTimeout(firstWork.promise, FIRST_WORK_LIMIT_MS)
  sendReady()
}

await main().catch((error: Error) => {
  sendFailed('cannot_start', error.message)
  console.error(error.message)
  process.exit(1)
})
