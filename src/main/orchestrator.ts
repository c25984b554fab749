/**
 * `npm run orchestrator`: the worker that executes operations, runs rebuilds and checks the apps' health. Its
 * only link to the relay is the database.
 */
import { environmentWith, readConfig } from '../config.ts'
import { createLazyPool, type LazyPool } from '../db/lazypool.ts'
import { openListener } from '../db/listener.ts'
import type { Pool } from '../db/pool.ts'
import { createHost } from '../host/index.ts'
import { createLogger, type Logger } from '../log.ts'
import { createOrchestrator } from '../orchestrator/orchestrator.ts'
import { createSystemdNotifier } from '../system/sdnotify.ts'
import { sendFailed, sendReady, stopOnRequest } from './ipc.ts'

/** Connections: one each for rebuilds, health and lease, the others for concurrent health reports. */
const POOL_SIZE = 6

/** Interval between two attempts to connect to the database at the start, in milliseconds. */
const DATABASE_PAUSE_MS = 1_000

/**
 * Opens the pool. Retries without a limit, because the agent may start before the database when the machine
 * boots. Logs the first failure only.
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
  if (!config.databaseUrl) {
    throw new Error(
      'DATABASE_URL is not set: "npm start" has its own database, "npm run orchestrator" needs one.',
    )
  }
  const log = createLogger('orchestrator', config.logLevel)
  const notifier = createSystemdNotifier({ ...config.supervision, log })
  const host = createHost({ ...config, environment: environmentWith({}) })
  await host.start()
  const later = createLazyPool(config.databaseUrl, 'bloud-orchestrator', POOL_SIZE)
  const pool = await openWhenThere(later, log)
  let recovered = false
  const notifyIfReady = () => recovered && listener.isListening() && notifier.ready()
  const progress = {
    alive: notifier.alive,
    phase: notifier.status,
    recovered() {
      recovered = true
      notifyIfReady()
    },
  }
  const orchestrator = createOrchestrator({ ...config, pool, host, log, progress })
  const listener = openListener(config.databaseUrl, 'bloud-orchestrator-listen', ['bloud_work'], {
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
  sendReady()
}

await main().catch((error: Error) => {
  sendFailed('cannot_start', error.message)
  console.error(error.message)
  process.exit(1)
})
