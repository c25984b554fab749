/** Returns all HTTP routes of the server. */
import type { LogStreams } from '../../relay/logstream.ts'
import type { Relay } from '../../relay/relay.ts'
import type { RelayLog } from '../../relay/streamsource.ts'
import type { Admission } from '../admission.ts'
import { type PageSource, pageRoutes } from '../page.ts'
import type { Route } from '../router.ts'
import { type AppsSource, appRoutes } from './app.ts'
import { type CatalogSource, catalogRoutes } from './catalog.ts'
import { eventRoutes } from './event.ts'
import { type MetricsSource, metricsRoutes } from './metrics.ts'
import { type OperationsSource, operationRoutes } from './operation.ts'
import { type ReadinessSource, readinessRoutes } from './readiness.ts'
import { type RollbackSource, rollbackRoutes } from './rollback.ts'

export interface RoutesOptions {
  source: AppsSource & CatalogSource & OperationsSource & RollbackSource & ReadinessSource & MetricsSource
  log: RelayLog
  relay: Relay
  logs: LogStreams
  admission: Admission
  publicDir: string
}

export async function allRoutes(options: RoutesOptions): Promise<Route[]> {
  const { source, relay, logs, admission, log, publicDir } = options
  const page: PageSource = { status: relay.status, catalog: source.catalog, history: source.history }
  return [
    ...appRoutes(source, relay.operationsChanged),
    ...catalogRoutes(source),
    ...operationRoutes(source, logs, admission),
    ...rollbackRoutes(source, relay.operationsChanged),
    ...eventRoutes(relay, admission),
    ...readinessRoutes(source, relay),
    ...metricsRoutes(source, relay, logs),
    ...(await pageRoutes(publicDir, page, log)),
  ]
}
