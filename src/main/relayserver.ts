/** Starts the relay (HTTP server and event stream) and connects the parts of the relay to the database. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, ROOT } from '../config.ts'
import * as app from '../db/app.ts'
import * as catalog from '../db/catalog.ts'
import * as event from '../db/event.ts'
import { type EventReader, openEventReader } from '../db/eventreader.ts'
import { lastCheck } from '../db/invariant.ts'
import { createLazyPool } from '../db/lazypool.ts'
import { openListener } from '../db/listener.ts'
import * as operation from '../db/operation.ts'
import type { FolderIdentity } from '../db/pairing.ts'
import { readDatabaseReadiness } from '../db/readiness.ts'
import * as rollback from '../db/rollback.ts'
import { withPool } from '../db/withpool.ts'
import { type AdmissionLimits, createAdmission } from '../http/admission.ts'
import type { ConnectionLimits } from '../http/connectionlimit.ts'
import { allRoutes } from '../http/routes/index.ts'
import { createServer } from '../http/server.ts'
import type { Logger } from '../log.ts'
import { readIdentity } from '../orchestrator/identity.ts'
import { createLogStreams, type LogLimits, type LogSource } from '../relay/logstream.ts'
import { createReadiness, type Readiness } from '../relay/readiness.ts'
import { createRelay, type RelayLimits } from '../relay/relay.ts'
import type { StreamSource } from '../relay/streamsource.ts'

/**
 * Upper limit of the duration of a query, in ms. The relay's queries take a few ms, so a query that reaches
 * the limit indicates a dead connection.
 */
const QUERY_LIMIT_MS = 7_000
/** Upper limit of the wait for the answer of the database to a check of the readiness, in ms. */
const READINESS_LIMIT_MS = 3_000
const ENDED = new Set(['succeeded', 'failed', 'cancelled', 'superseded'])

/**
 * Returns the relay's connection pools. Verbs can wait for locks and a crowd can read, so verbs, reads,
 * history, streams and metrics have connections of their own. New events are read over a separate connection,
 * and each check of the readiness opens a new one.
 */
function openPools(url: string) {
  // The wait, and a statement that reaches its limit of 7 s, fit in the 20 s of an HTTP request.
  const queue = { waiting: 200, waitMs: 5_000 }
  const limits = { answerLimitMs: QUERY_LIMIT_MS, queue }
  return {
    verbs: createLazyPool(url, 'bloud-relay', 6, limits),
    reads: createLazyPool(url, 'bloud-relay', 5, limits),
    history: createLazyPool(url, 'bloud-relay', 2, limits),
    streams: createLazyPool(url, 'bloud-relay', 4, { answerLimitMs: QUERY_LIMIT_MS }),
    metrics: createLazyPool(url, 'bloud-relay', 1, limits),
  }
}

type Pools = ReturnType<typeof openPools>

function streamSource({ streams }: Pools, reader: EventReader): StreamSource {
  const { checkHistory, streamAfter, snapshot } = withPool(streams, {
    checkHistory: event.checkHistory,
    streamAfter: event.streamAfter,
    snapshot: event.snapshot,
  })
  return {
    async head(known) {
      const { epoch, seq, oldest } = await checkHistory(known)
      return { epoch, seq, prunedTo: oldest }
    },
    streamAfter,
    readLive: reader.after,
    connections: () => reader.connections,
    isListening: () => reader.listening,
    snapshot,
  }
}

function logSource({ streams }: Pools): LogSource {
  const { operationLog, findOperation } = withPool(streams, {
    operationLog: operation.operationLog,
    findOperation: operation.findOperation,
  })
  return {
    operationLog,
    async isOver(id) {
      const found = await findOperation(id)
      return !found || ENDED.has(found.state)
    },
  }
}

/** Returns the database functions that the HTTP routes call, each bound to a connection pool. */
function routeSource(
  { verbs, reads, history, metrics }: Pools,
  expectedSchema: string,
  readiness: Readiness,
) {
  const { installedApps, appStatus } = app
  const { install, uninstall, retry, cancel, rename, listOperations, findOperation, operationLog } = operation
  const { planInstall, planUninstall, catalogEntry, refreshCatalog } = catalog
  const { planRollback, rollback: rollBack } = rollback
  return {
    expectedSchema,
    readiness: readiness.current,
    ...withPool(reads, { installedApps, appStatus }),
    ...withPool(history, { history: app.history }),
    ...withPool(verbs, { install, uninstall, retry, cancel, rename, refreshCatalog, rollback: rollBack }),
    ...withPool(reads, { listOperations, findOperation, operationLog }),
    ...withPool(reads, { catalog: catalog.catalog, catalogEntry, planInstall, planUninstall, planRollback }),
    ...withPool(metrics, { lastCheck }),
  }
}

async function expectedSchema(): Promise<string> {
  const files = await readdir(join(ROOT, 'sql/migrations'))
  return (
    files
      .filter((file) => file.endsWith('.sql'))
      .sort()
      .at(-1) ?? ''
  ).replace(/\.sql$/, '')
}

/**
 * Passes PostgreSQL notifications to the parts of the relay that depend on the changed data. Those of new
 * events come from the session that reads the events: a second notification would wake up the relay twice.
 */
function listen(
  url: string,
  relay: ReturnType<typeof createRelay>,
  logs: ReturnType<typeof createLogStreams>,
  log: Logger,
) {
  const handlers: Record<string, () => void> = {
    bloud_apps: relay.appsChanged,
    bloud_log: logs.notified,
    bloud_work() {
      relay.operationsChanged()
      logs.notified()
    },
  }
  let hasLostSession = false
  return openListener(url, 'bloud-relay-listen', Object.keys(handlers), {
    onNotification: (channel) => handlers[channel]?.(),
    onListening() {
      relay.setListening(true)
      // While there was no session, the notification of a change without an event (a new name) may be lost.
      if (hasLostSession) relay.appsChanged()
      logs.notified()
    },
    onLost(reason) {
      hasLostSession = true
      log.warn({ reason }, 'LISTEN session lost')
      relay.setListening(false)
    },
  })
}

/**
 * Returns the ids of this machine's data folder. Returns null if the relay may not read the folder, as on
 * NixOS. The orchestrator reports a refused folder in any case.
 */
async function readableIdentity(file: string | undefined): Promise<FolderIdentity | null> {
  return file === undefined ? null : readIdentity(file).catch(() => null)
}

export interface RelayServerOptions {
  /** If `port` is 0, the operating system chooses a free port. */
  config: Pick<Config, 'port' | 'listen' | 'allowedHosts'> & Partial<Pick<Config, 'pairingFile'>>
  databaseUrl: string
  log: Logger
  limits?: Partial<RelayLimits>
  admissionLimits?: Partial<AdmissionLimits>
  connectionLimits?: Partial<ConnectionLimits>
  logLimits?: Partial<LogLimits>
}

export interface RelayServer {
  port: number
  /** Returns true while the relay receives PostgreSQL notifications (LISTEN). */
  isListening(): boolean
  stop(): Promise<void>
}

/**
 * Starts the server, even if the database is not reachable yet.
 * @throws ListenError if the port can't be used.
 */
export async function startRelayServer(options: RelayServerOptions): Promise<RelayServer> {
  const { config, databaseUrl, log } = options
  const pools = openPools(databaseUrl)
  const reader = openEventReader(databaseUrl, 'bloud-relay-stream', QUERY_LIMIT_MS, {
    onNotification: () => relay.notified(),
    onLost: () => relay.readerLost(),
  })
  const relay = createRelay({ source: streamSource(pools, reader), log, limits: options.limits ?? {} })
  const readiness = createReadiness(
    async () => {
      const identity = await readableIdentity(config.pairingFile)
      return readDatabaseReadiness(databaseUrl, 'bloud-relay-readiness', READINESS_LIMIT_MS, identity)
    },
    () => relay.stats().clients > 0,
    ({ causes }) => relay.setReadOnly(causes.some(({ cause }) => cause === 'read_only')),
  )
  const source = routeSource(pools, await expectedSchema(), readiness)
  const logs = createLogStreams({ source: logSource(pools), log, limits: options.logLimits ?? {} })
  const admission = createAdmission(options.admissionLimits)
  const routes = await allRoutes({ source, relay, logs, admission, log, publicDir: join(ROOT, 'public') })
  const server = createServer({ ...config, routes, log, connectionLimits: options.connectionLimits })
  const port = await server.listen()
  relay.start()
  logs.start()
  readiness.start()
  const listener = listen(databaseUrl, relay, logs, log)
  let stopped: Promise<void> | undefined

  async function stop(): Promise<void> {
    readiness.stop()
    relay.stop()
    logs.stop()
    await server.stop()
    const opened = Object.values(pools).map((pool) => pool.end())
    await Promise.all([listener.close(), reader.end(), ...opened])
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
