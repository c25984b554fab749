/** Functions for tests of the SQL code: sessions, catalog entries, and whole rebuilds. */
import pg from 'pg'

export interface Refusal {
  code: string
  message: string
  detail: string | undefined
  hint: string | undefined
}

export async function session(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

/**
 * Returns the error with which the database refuses a statement.
 * @throws if the statement succeeds.
 */
export async function refusalOf(client: pg.Client, text: string, values: unknown[] = []): Promise<Refusal> {
  try {
    await client.query(text, values)
  } catch (error) {
    const { code = '', message, detail, hint } = error as pg.DatabaseError
    return { code, message, detail, hint }
  }
  throw new Error(`This was not refused: ${text}`)
}

export async function value<T>(client: pg.Client, text: string, values: unknown[] = []): Promise<T> {
  const { rows } = await client.query({ text, values, rowMode: 'array' })
  return (rows as unknown[][])[0]?.[0] as T
}

/** Sets the clock of the database for all sessions, to a time that differs by `offset` from the right one. */
export async function setDatabaseClock(client: pg.Client, offset: string): Promise<void> {
  await client.query(`create or replace function bloud.clock() returns timestamptz
    language sql stable parallel safe as $$ select pg_catalog.clock_timestamp() + interval '${offset}' $$`)
}

export interface EntryOptions {
  port?: number
  integrations?: object
  isSystem?: boolean
  unavailable?: string
  timeout?: number
}

/** Returns a catalog entry, as the orchestrator passes it to bloud.sync_catalog(). */
export function entry(name: string, options: EntryOptions = {}): object {
  const healthCheck = { path: '/', interval: 10, timeout: options.timeout ?? 60 }
  return {
    name,
    yaml_content: `name: ${name}`,
    entry: { name, healthCheck, integrations: options.integrations ?? {} },
    display_name: name,
    description: '',
    category: 'test',
    version: '1',
    port: options.port ?? null,
    is_system: options.isSystem ?? false,
    unavailable: options.unavailable ?? null,
  }
}

/**
 * Takes the lease (lock in the database that makes one orchestrator the active one) and stores the catalog,
 * as an orchestrator does at its start. Returns the attempt number (fencing token of the lease).
 */
export async function lead(client: pg.Client, entries: object[]): Promise<number> {
  const attempt = Number(await value(client, "select bloud.acquire_lease('test', 3600)"))
  await client.query('select bloud.sync_catalog($1, $2)', [attempt, JSON.stringify(entries)])
  return attempt
}

/** Runs one rebuild of all queued operations with success, and reports the installed apps as healthy. */
export async function rebuildAll(client: pg.Client, attempt: number): Promise<void> {
  const id = await value<string>(client, 'select id from bloud.claim_rebuild($1, 3600)', [attempt])
  if (id === undefined) return
  await client.query("select bloud.begin_run($1, $2, '1')", [attempt, id])
  await client.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, id])
  await client.query(
    "select bloud.report_health($1, name, true) from bloud.apps where status = 'starting' order by name",
    [attempt],
  )
}

export async function transitionsOf(client: pg.Client, app: string): Promise<string[]> {
  const { rows } = await client.query(
    "select coalesce(from_status, '') || '→' || coalesce(to_status, '') as transition from bloud.events where app = $1 order by seq",
    [app],
  )
  return rows.map(({ transition }) => transition)
}

/** Resolves when a session of this database is blocked by a lock. */
export async function waitingForLock(client: pg.Client): Promise<void> {
  const waits =
    "select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
  for (let polls = 0; polls < 500; polls++) {
    if ((await value<number>(client, waits)) > 0) return
    await client.query('select pg_sleep(0.01)')
  }
}
