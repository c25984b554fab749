/** The page, the API and the stream, wired to a database. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, ROOT } from '../config.ts'
import * as apps from '../db/app.ts'
import * as catalog from '../db/catalog.ts'
import * as events from '../db/event.ts'
import { type EventReader, openEventReader } from '../db/eventreader.ts'
import { checkInvariants } from '../db/invariant.ts'
import { createLazyPool, type LazyPool } from '../db/lazypool.ts'
import { openListener } from '../db/listener.ts'
import * as operations from '../db/operation.ts'
import * as rollbacks from '../db/rollback.ts'
import { type AdmissionLimits, createAdmission } from '../http/admission.ts'
import { allRoutes } from '../http/routes/index.ts'
import { createServer } from '../http/server.ts'
import type { Logger } from '../log.ts'
import { createLogStreams, type LogLimits, type LogSource } from '../relay/logstream.ts'
import { createRelay, type RelayLimits } from '../relay/relay.ts'
import type { StreamSource } from '../relay/streamsource.ts'

/** For requests, snapshots and old pages; the stream has a session of its own. */
const POOL_SIZE = 8
/** What the relay reads takes milliseconds; a connection that is silent for longer has died without a word. */
const ANSWER_LIMIT_MS = 7_000
const OVER = new Set(['succeeded', 'failed', 'cancelled', 'superseded'])

function eventSource(pool: LazyPool, reader: EventReader): StreamSource {
  return {
    async head() {
      const { epoch, seq, oldest } = await events.streamHead(await pool.open())
      return { epoch, seq, prunedTo: oldest }
    },
    streamAfter: async (seq, limit) => events.streamAfter(await pool.open(), seq, limit),
    readLive: reader.after,
    snapshot: async () => events.snapshot(await pool.open()),
  }
}

function logSource(pool: LazyPool): LogSource {
  return {
    operationLog: async (id, after, limit) => operations.operationLog(await pool.open(), id, after, limit),
    async isOver(id) {
      const operation = await operations.findOperation(await pool.open(), id)
      return !operation || OVER.has(operation.state)
    },
  }
}

/** The functions of src/db with their pool, as the routes want them. */
function routeSource(pool: LazyPool, expectedSchema: string): Parameters<typeof allRoutes>[0]['source'] {
  return {
    expectedSchema,
    schemaVersion: async () => apps.schemaVersion(await pool.open()),
    catalog: async () => catalog.catalog(await pool.open()),
    catalogEntry: async (name) => catalog.catalogEntry(await pool.open(), name),
    installedApps: async () => apps.installedApps(await pool.open()),
    appStatus: async (name) => apps.appStatus(await pool.open(), name),
    history: async (name, limit) => apps.history(await pool.open(), name, limit),
    planInstall: async (name, options) => catalog.planInstall(await pool.open(), name, options),
    planUninstall: async (name) => catalog.planUninstall(await pool.open(), name),
    install: async (origin, name, options) => operations.install(await pool.open(), origin, name, options),
    uninstall: async (origin, name, purge) => operations.uninstall(await pool.open(), origin, name, purge),
    retry: async (origin, name) => operations.retry(await pool.open(), origin, name),
    cancel: async (origin, name) => operations.cancel(await pool.open(), origin, name),
    rename: async (origin, name, to) => operations.rename(await pool.open(), origin, name, to),
    refreshCatalog: async (origin) => catalog.refreshCatalog(await pool.open(), origin),
    planRollback: async () => rollbacks.planRollback(await pool.open()),
    rollback: async (origin) => rollbacks.rollback(await pool.open(), origin),
    invariantViolations: async () => (await checkInvariants(await pool.open())).length,
    listOperations: async (limit, app) => operations.listOperations(await pool.open(), limit, app),
    findOperation: async (id) => operations.findOperation(await pool.open(), id),
    operationLog: async (id, after, limit) => operations.operationLog(await pool.open(), id, after, limit),
  }
}

/** The name of the newest migration this program knows. */
async function expectedSchema(): Promise<string> {
  const files = await readdir(join(ROOT, 'sql/migrations'))
  return (
    files
      .filter((file) => file.endsWith('.sql'))
      .sort()
      .at(-1) ?? ''
  ).replace(/\.sql$/, '')
}

/** Bells of operations say both: what may be pressed has changed, and a log may be complete. */
function listen(
  url: string,
  relay: ReturnType<typeof createRelay>,
  logs: ReturnType<typeof createLogStreams>,
  log: Logger,
) {
  const ring: Record<string, () => void> = {
    bloud: relay.notified,
    bloud_apps: relay.appsChanged,
    bloud_log: logs.notified,
    bloud_work() {
      relay.operationsChanged()
      logs.notified()
    },
  }
  return openListener(url, 'bloud-relay-listen', Object.keys(ring), {
    onNotification: (channel) => ring[channel]?.(),
    onListening() {
      relay.setListening(true)
      logs.notified()
    },
    onLost(reason) {
      log.warn({ reason }, 'LISTEN session lost')
      relay.setListening(false)
    },
  })
}

export interface RelayServerOptions {
  /** `port` 0: any free one. */
  config: Pick<Config, 'port' | 'listen' | 'allowedHosts'>
  databaseUrl: string
  log: Logger
  limits?: Partial<RelayLimits>
  admissionLimits?: Partial<AdmissionLimits>
  logLimits?: Partial<LogLimits>
}

export interface RelayServer {
  port: number
  /** Does it hear the bells of the database? */
  isListening(): boolean
  /** Ends the streams, lets answers under way finish. Idempotent. */
  stop(): Promise<void>
}

/** Starts whether the database is there or not; `/readyz` tells. @throws ListenError */
export async function startRelayServer(options: RelayServerOptions): Promise<RelayServer> {
  const { config, databaseUrl, log } = options
  const pool = createLazyPool(databaseUrl, 'bloud-relay', POOL_SIZE, ANSWER_LIMIT_MS)
  const reader = openEventReader(databaseUrl, 'bloud-relay-stream', ANSWER_LIMIT_MS)
  const relay = createRelay({ source: eventSource(pool, reader), log, limits: options.limits ?? {} })
  const logs = createLogStreams({ source: logSource(pool), log, limits: options.logLimits ?? {} })
  const admission = createAdmission(options.admissionLimits)
  const source = routeSource(pool, await expectedSchema())
  const routes = allRoutes({ source, relay, logs, admission, log, publicDir: join(ROOT, 'public') })
  const server = createServer({ ...config, routes, log })
  const port = await server.listen()
  relay.start()
  logs.start()
  const listener = listen(databaseUrl, relay, logs, log)
  let stopped: Promise<void> | undefined

  async function stop(): Promise<void> {
    relay.stop()
    logs.stop()
    await server.stop()
    await Promise.all([listener.close(), reader.end(), pool.end()])
  }

  return {
    port,
    isListening: () => relay.listening,
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}
