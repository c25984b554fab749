/** `npm run orchestrator`: the worker that installs, rebuilds and watches. A client of the database, nothing more. */
import { environmentWith, readConfig } from '../config.ts'
import { createLazyPool, type LazyPool } from '../db/lazypool.ts'
import { openListener } from '../db/listener.ts'
import type { Pool } from '../db/pool.ts'
import { createHost } from '../host/index.ts'
import { createLogger, type Logger } from '../log.ts'
import { createOrchestrator } from '../orchestrator/orchestrator.ts'
import { createSystemdNotifier } from '../system/sdnotify.ts'
import { sendFailed, sendReady, stopOnRequest } from './ipc.ts'

/** Rebuild, health and lease have one statement each at a time; the others are for health probes that report. */
const POOL_SIZE = 6

/** Between two looks for a database that is not there yet. */
const DATABASE_PAUSE_MS = 1_000

/** Without a limit on purpose: what starts with the machine may start before its database. Says so once. */
async function openWhenThere(later: LazyPool, log: Logger): Promise<Pool> {
  for (let said = false; ; said = true) {
    try {
      return await later.open()
    } catch (error) {
      if (!said) log.warn({ err: error }, 'the database is not there yet: waiting for it')
      await new Promise((resolve) => setTimeout(resolve, DATABASE_PAUSE_MS))
    }
  }
}

async function main(): Promise<void> {
  const config = readConfig()
  if (!config.databaseUrl) {
    throw new Error(
      'DATABASE_URL is not set: "npm start" brings a database along, "npm run orchestrator" needs one.',
    )
  }
  const log = createLogger('orchestrator', config.logLevel)
  const notifier = createSystemdNotifier({ ...config.supervision, log })
  const host = createHost({ ...config, environment: environmentWith({}) })
  await host.start()
  const later = createLazyPool(config.databaseUrl, 'bloud-orchestrator', POOL_SIZE)
  const pool = await openWhenThere(later, log)
  let recovered = false
  const readyIfSo = () => recovered && listener.isListening() && notifier.ready()
  const progress = {
    alive: notifier.alive,
    phase: notifier.status,
    recovered() {
      recovered = true
      readyIfSo()
    },
  }
  const orchestrator = createOrchestrator({ ...config, pool, host, log, progress })
  const listener = openListener(config.databaseUrl, 'bloud-orchestrator-listen', ['bloud_work'], {
    onNotification: orchestrator.notify,
    onListening() {
      orchestrator.notify()
      readyIfSo()
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
