/**
 * HTTP routes for monitoring. `/healthz` reports that the process runs, and `/readyz` reports that the agent
 * can do its work.
 */
import type { DatabaseReadiness, ReadinessCause } from '../../domain/readiness.ts'
import type { Relay } from '../../relay/relay.ts'
import { json } from '../reply.ts'
import type { Answer, Route } from '../router.ts'

export interface ReadinessSource {
  /** Returns what a new connection to the database finds. A failed connection is a cause, not an error. */
  readiness(): Promise<DatabaseReadiness>
  /** Name of the newest migration that this program contains. */
  expectedSchema: string
}

const causeOf = (cause: string, sentence: string, hint: string): ReadinessCause => ({
  cause,
  sentence,
  hint,
  since: null,
})

/** Returns all reasons why the agent is not ready: those of the database, then those of this process. */
export function readinessCauses(
  { causes, schemaVersion }: DatabaseReadiness,
  expectedSchema: string,
  relay: Pick<Relay, 'listening' | 'stale'>,
): ReadinessCause[] {
  const all = [...causes]
  const isConnected = !causes.some(({ cause }) => cause === 'no_connection')
  if (schemaVersion !== null && schemaVersion !== expectedSchema)
    all.push(
      causeOf(
        'schema',
        `The database has the schema ${schemaVersion}, but this program needs ${expectedSchema}.`,
        'Run npm run migrate, or start the version of the program that fits.',
      ),
    )
  if (isConnected && !relay.listening)
    all.push(
      causeOf(
        'not_listening',
        'The relay receives no notifications of the database.',
        'The relay connects again by itself; its log has the reason.',
      ),
    )
  if (isConnected && relay.stale && !causes.some(({ cause }) => cause === 'read_only'))
    all.push(
      causeOf(
        'stale',
        'The relay can not read events from the database.',
        'The relay tries again by itself; its log has the reason.',
      ),
    )
  return all
}

export function readinessRoutes(source: ReadinessSource, relay: Relay): Route[] {
  async function page(): Promise<Answer> {
    const causes = readinessCauses(await source.readiness(), source.expectedSchema, relay)
    return json({ ready: causes.length === 0, causes })
  }

  async function readiness(): Promise<Answer> {
    const found = await source.readiness()
    const causes = readinessCauses(found, source.expectedSchema, relay)
    const has = (cause: string) => causes.some((each) => each.cause === cause)
    const checks = {
      database: has('no_connection') ? 'does not answer' : has('read_only') ? 'read-only' : 'ok',
      listen: relay.listening ? 'ok' : 'not connected',
      stream: relay.stale ? 'stale' : 'ok',
      schema: has('schema') ? `expected ${source.expectedSchema}` : 'ok',
    }
    const ready = causes.length === 0
    return json({ ready, causes, ...checks, schema_version: found.schemaVersion }, ready ? 200 : 503)
  }

  return [
    { path: '/healthz', GET: () => json({ alive: true }) },
    { path: '/readyz', GET: readiness },
    // The page uses a route of its own, because a browser logs an error for each reply with status 503.
    { path: '/api/readiness', GET: page },
  ]
}
