import { createPool, type DatabasePool, type Interceptor, SchemaValidationError, sql } from 'slonik'
import { type ZodTypeAny, z } from 'zod'
import { clientConfig } from './clientconfig.ts'
import { translated } from './error.ts'
import { createTimeLimitedDriver } from './querytimeout.ts'
import { sessionUrl } from './url.ts'

export type Pool = DatabasePool
type Statement = ReturnType<typeof sql.fragment>
type Runner = Pick<DatabasePool, 'any'>

/** Time in milliseconds after which PostgreSQL cancels a statement. */
const STATEMENT_TIMEOUT_MS = 15_000
/**
 * Upper limit of the wait for an answer of PostgreSQL, in milliseconds. The limit is longer than
 * STATEMENT_TIMEOUT_MS, so that PostgreSQL itself cancels a slow statement and the connection can be used
 * again.
 */
const ANSWER_LIMIT_MS = STATEMENT_TIMEOUT_MS + 1_000
const CONNECT_TIMEOUT_MS = 5_000
const IDLE_TIMEOUT_MS = 30_000

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
 * Opens a pool of at most `size` database connections.
 * @param name application_name of the sessions in pg_stat_activity.
 * @param answerLimitMs time in milliseconds without an answer after which a connection is closed.
 */
export function openPool(
  url: string,
  name: string,
  size: number,
  answerLimitMs = ANSWER_LIMIT_MS,
): Promise<Pool> {
  const { connectionString, ssl } = clientConfig(sessionUrl(url, name))
  return createPool(connectionString, {
    ...(ssl && { ssl }),
    maximumPoolSize: size,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    connectionRetryLimit: 0,
    queryRetryLimit: 0,
    transactionRetryLimit: 0,
    idleTimeout: IDLE_TIMEOUT_MS,
    statementTimeout: STATEMENT_TIMEOUT_MS,
    idleInTransactionSessionTimeout: STATEMENT_TIMEOUT_MS,
    // Settings are made with `set local` and end with the transaction, so a connection needs no reset between
    // two uses.
    resetConnection: async () => {},
    driverFactory: createTimeLimitedDriver(answerLimitMs),
    interceptors: [checkRows],
  })
}

/** Runs a query with one JSON column named `row`. Returns the values of all rows, validated by `schema`. */
export function rows<T extends ZodTypeAny>(
  db: Runner,
  schema: T,
  statement: Statement,
): Promise<readonly z.output<T>[]> {
  const query = sql.type(z.object({ row: schema }))`${statement}`
  return translated(async () => (await db.any(query)).map(({ row }) => row))
}

/**
 * Runs a query with one JSON column named `row`. Returns the value of the first row, or undefined if the
 * query returns no rows.
 */
export async function row<T extends ZodTypeAny>(
  db: Runner,
  schema: T,
  statement: Statement,
): Promise<z.output<T> | undefined> {
  const [first] = await rows(db, schema, statement)
  return first
}

/**
 * Runs a query with one JSON column named `row`. Returns the value of the first row.
 * @throws Error if the query returns no rows.
 */
export async function oneRow<T extends ZodTypeAny>(
  db: Runner,
  schema: T,
  statement: Statement,
): Promise<z.output<T>> {
  const [first] = await rows(db, schema, statement)
  if (first === undefined) throw new Error('A function that always returns a row returned none')
  return first
}
