/**
 * Reads why the agent is not ready. A new connection is used each time, because the server may accept no new
 * connection while older ones still work.
 */
import { hostname } from 'node:os'
import type pg from 'pg'
import { sql } from 'slonik'
import { z } from 'zod'
import { DatabaseReadiness, type WorkerProblem } from '../domain/readiness.ts'
import { connected } from './database.ts'
import { databaseMessage } from './error.ts'
import type { FolderIdentity } from './pairing.ts'
import { type Pool, rows } from './pool.ts'
import { sessionUrl } from './url.ts'

/** SQLSTATEs of a schema, table or function that does not exist, because the schema is missing or older. */
const NOT_MIGRATED = ['3F000', '42P01', '42883']
const READ = `select jsonb_build_object('schemaVersion', bloud.schema_version(),
  'causes', (select coalesce(jsonb_agg(r), '[]') from (
    select * from bloud.readiness()
    union select 'other_folder', f.message || '.', f.hint, null
      from bloud.refusal_of_folder($1, $2, $3) f where f.sqlstate is not null) r),
  'blocking', (select coalesce(jsonb_agg(b), '[]') from bloud.blocking_sessions() b)) as row`

const withCause = (cause: string, sentence: string, hint: string): DatabaseReadiness => ({
  schemaVersion: null,
  causes: [{ cause, sentence, hint, since: null }],
  blocking: [],
})

/**
 * Returns what a new connection to the database finds. A failed connection is a cause too, not an error.
 * @param limitMs time in milliseconds without an answer after which the connection counts as failed.
 * @param identity ids of the data folder of this machine, if they can be read.
 */
export async function readDatabaseReadiness(
  url: string,
  name: string,
  limitMs: number,
  identity: FolderIdentity | null = null,
): Promise<DatabaseReadiness> {
  try {
    const read = (client: pg.Client) =>
      client.query<{ row: unknown }>(READ, [identity?.folder, identity?.database, hostname()])
    const { rows: found } = await connected(sessionUrl(url, name), read, { name, answerLimitMs: limitMs })
    return DatabaseReadiness.parse(found[0]?.row)
  } catch (error) {
    const message = databaseMessage(error).replace(/\.$/, '')
    if (NOT_MIGRATED.includes((error as { code?: string }).code ?? '')) {
      const sentence = `The database does not have the schema of this version: ${message}.`
      return withCause('schema', sentence, 'Migrate it with: npm run migrate')
    }
    const sentence = `No new connection to the database is possible: ${message}.`
    return withCause('no_connection', sentence, 'Start the database, or check DATABASE_URL and its log.')
  }
}

/** Records that this worker (orchestrator process) is connected, with its clock and its problems. */
export async function reportWorker(
  pool: Pool,
  worker: string,
  problems: readonly WorkerProblem[],
): Promise<void> {
  const clock = new Date().toISOString()
  await rows(
    pool,
    z.unknown(),
    sql.fragment`select null as row
      from bloud.report_worker(${worker}, ${clock}::timestamptz, ${JSON.stringify(problems)}::jsonb)`,
  )
}
