import { createPool, type DatabasePool, type Interceptor, SchemaValidationError, sql } from 'slonik'
import { type ZodTypeAny, z } from 'zod'
import { translated } from './error.ts'
import { createTimeLimitedDriver } from './querytimeout.ts'
import { sessionUrl } from './url.ts'

export type Pool = DatabasePool
type Statement = ReturnType<typeof sql.fragment>
type Runner = Pick<DatabasePool, 'any'>

/** What a statement may take before PostgreSQL ends it. Every statement here is a lookup or a verb of milliseconds. */
const STATEMENT_TIMEOUT_MS = 15_000
/** When we no longer wait for an answer: PostgreSQL would have ended the statement by then. */
const ANSWER_LIMIT_MS = STATEMENT_TIMEOUT_MS + 1_000
const CONNECT_TIMEOUT_MS = 5_000
const IDLE_TIMEOUT_MS = 30_000

/** Every row is checked by the zod schema of its query: the database is a border like any other. */
const checkRows: Interceptor = {
  name: 'check-rows',
  transformRow: ({ resultParser }, query, row) => {
    const parsed = (resultParser as ZodTypeAny | undefined)?.safeParse(row)
    if (!parsed) return row
    if (!parsed.success) throw new SchemaValidationError(query, row as never, parsed.error.issues)
    return parsed.data
  },
}

/**
 * A pool of at most `size` connections to the database at `url`. Sessions speak UTC and wait at most 5 s for a lock.
 * It connects when first used, so it can be opened while the database is away.
 * @param answerLimitMs after which a connection that says nothing is given up.
 */
export function openPool(
  url: string,
  name: string,
  size: number,
  answerLimitMs = ANSWER_LIMIT_MS,
): Promise<Pool> {
  return createPool(sessionUrl(url, name), {
    maximumPoolSize: size,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    connectionRetryLimit: 0,
    queryRetryLimit: 0,
    transactionRetryLimit: 0,
    idleTimeout: IDLE_TIMEOUT_MS,
    statementTimeout: STATEMENT_TIMEOUT_MS,
    idleInTransactionSessionTimeout: STATEMENT_TIMEOUT_MS,
    // Sessions here only ever change settings with `set local`: there is nothing to discard between uses.
    resetConnection: async () => {},
    driverFactory: createTimeLimitedDriver(answerLimitMs),
    interceptors: [checkRows],
  })
}

/**
 * Rows of a query that returns one JSON column named `row`, checked by `schema`.
 * JSON, because PostgreSQL then writes times as ISO 8601 and numbers as numbers, the same as on every other way out.
 */
export function rows<T extends ZodTypeAny>(
  db: Runner,
  schema: T,
  statement: Statement,
): Promise<readonly z.output<T>[]> {
  const query = sql.type(z.object({ row: schema }))`${statement}`
  return translated(async () => (await db.any(query)).map(({ row }) => row))
}

/** The only row of such a query, or undefined when there is none. */
export async function row<T extends ZodTypeAny>(
  db: Runner,
  schema: T,
  statement: Statement,
): Promise<z.output<T> | undefined> {
  const [first] = await rows(db, schema, statement)
  return first
}

/** The row of a query that always has one. */
export async function oneRow<T extends ZodTypeAny>(
  db: Runner,
  schema: T,
  statement: Statement,
): Promise<z.output<T>> {
  const [first] = await rows(db, schema, statement)
  if (first === undefined) throw new Error('A function that always returns a row returned none')
  return first
}
