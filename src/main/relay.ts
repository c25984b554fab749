/**
 * Command `npm run relay`: starts the server of the web page, the API and the event stream. The relay and the
 * orchestrator communicate only through the database.
 */
import { setFlagsFromString } from 'node:v8'
import { hideEnvironment } from '../config/childenvironment.ts'
import { readConfig } from '../config.ts'
import { createLogger } from '../log.ts'
import { createSystemdNotifier } from '../system/sdnotify.ts'
import { sendFailed, sendReady, stopOnRequest } from './ipc.ts'
import { startRelayServer } from './relayserver.ts'

/** Interval between two heartbeats to the watchdog of systemd, in ms. */
const HEARTBEAT_INTERVAL_MS = 1_000

/**
 * Keeps V8's memory for new objects at its initial size of 1 MiB. When many clients connect, V8 would enlarge
 * this memory to 48 MiB and never reduce it.
 */
function limitYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

async function main(): Promise<void> {
  limitYoungGeneration()
  const config = readConfig()
  hideEnvironment()
  const { databaseUrl } = config
  if (!databaseUrl) {
    throw new Error('DATABASE_URL is not set: "npm start" has its own database, "npm run relay" needs one.')
  }
  const log = createLogger('relay', config.logLevel)
  const notifier = createSystemdNotifier({ ...config.supervision, log })
  const { port, stop, isListening } = await startRelayServer({ config, databaseUrl, log })
  stopOnRequest(() => {
    notifier.stopping()
    return stop()
  })
  function sendHeartbeat(): void {
    notifier.alive()
    notifier.status(isListening() ? `serving ${config.listen}, port ${port}` : 'waiting for the database')
    if (isListening()) notifier.ready()
  }
  if (config.supervision.enabled) setInterval(sendHeartbeat, HEARTBEAT_INTERVAL_MS).unref()
  log.info({ address: config.listen, port }, 'listening')
  sendReady()
}

await main().catch((error: Error & { code?: string }) => {
  sendFailed(error.code ?? 'cannot_start', error.message)
  console.error(error.message)
  process.exit(1)
})
