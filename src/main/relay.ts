/** `npm run relay`: the page, the API and the stream. A client of the database, nothing more. */
import { readConfig } from '../config.ts'
import { createLogger } from '../log.ts'
import { createSystemdNotifier } from '../system/sdnotify.ts'
import { sendFailed, sendReady, stopOnRequest } from './ipc.ts'
import { keepNurserySmall } from './nursery.ts'
import { startRelayServer } from './relayserver.ts'

/** How often systemd may hear how we are. */
const SIGN_EVERY_MS = 1_000

async function main(): Promise<void> {
  keepNurserySmall()
  const config = readConfig()
  const { databaseUrl } = config
  if (!databaseUrl) {
    throw new Error(
      'DATABASE_URL is not set: "npm start" brings a database along, "npm run relay" needs one.',
    )
  }
  const log = createLogger('relay', config.logLevel)
  const notifier = createSystemdNotifier({ ...config.supervision, log })
  const { port, stop, isListening } = await startRelayServer({ config, databaseUrl, log })
  stopOnRequest(() => {
    notifier.stopping()
    return stop()
  })
  function giveSigns(): void {
    notifier.alive()
    notifier.status(isListening() ? `serving ${config.listen}, port ${port}` : 'waiting for the database')
    if (isListening()) notifier.ready()
  }
  setInterval(giveSigns, SIGN_EVERY_MS).unref()
  log.info({ address: config.listen, port }, 'listening')
  sendReady()
}

await main().catch((error: Error & { code?: string }) => {
  sendFailed(error.code ?? 'cannot_start', error.message)
  console.error(error.message)
  process.exit(1)
})
