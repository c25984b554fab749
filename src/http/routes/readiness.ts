/**
 * HTTP routes for monitoring. `/healthz` reports that the process runs, and `/readyz` reports that the agent
 * can do its work.
 */
import type { Relay } from '../../relay/relay.ts'
import { withTimeout } from '../../system/timeout.ts'
import { json } from '../reply.ts'
import type { Answer, Route } from '../router.ts'

const DATABASE_LIMIT_MS = 3000

export interface ReadinessSource {
  schemaVersion(): Promise<string>
  /** Name of the newest migration that this program contains. */
  expectedSchema: string
}

export function readinessRoutes(source: ReadinessSource, relay: Relay): Route[] {
  async function readiness(): Promise<Answer> {
    const version = await withTimeout(source.schemaVersion(), DATABASE_LIMIT_MS).catch(() => undefined)
    const checks = {
      database: version === undefined ? 'does not answer' : 'ok',
      listen: relay.listening ? 'ok' : 'not connected',
      stream: relay.stale ? 'stale' : 'ok',
      schema:
        version === undefined || version === source.expectedSchema
          ? 'ok'
          : `expected ${source.expectedSchema}`,
    }
    const ready = Object.values(checks).every((check) => check === 'ok')
    return json({ ready, ...checks, schema_version: version ?? null }, ready ? 200 : 503)
  }

  return [
    { path: '/healthz', GET: () => json({ alive: true }) },
    { path: '/readyz', GET: readiness },
  ]
}
