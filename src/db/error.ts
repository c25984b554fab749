import { Problem, type ProblemCode, problemCode } from '../domain/problem.ts'

/**
 * Error of the driver node-postgres. The query library slonik throws its own errors, whose `cause` is this
 * one.
 */
interface PostgresError {
  code?: string
  message: string
  detail?: string
  hint?: string
}

/**
 * Codes of temporary failures (SQLSTATEs and codes of the operating system): the connection is lost, or the
 * server is stopping or short of memory, disk space or connections.
 */
const UNAVAILABLE = /^(08...|57P..|53...|ECONN.*|EPIPE|ENOENT|ETIMEDOUT|ENOTFOUND)$/
const LOCK_NOT_AVAILABLE = '55P03'
/** Pattern of the error messages that mean a lost connection. Used only for errors without a code. */
const CONNECTION_LOST = new RegExp(
  [
    'connection (has been |was )?(terminated|ended|closed|refused|reset)',
    'backend has been terminated',
    'connection error',
    'read timeout',
    'timeout (exceeded|expired)',
    'not queryable',
    '(pool|client) (has been |has |was |is )?(ended|closed|destroyed)',
  ]
    .map((message) => `\\b${message}\\b`)
    .join('|'),
  'i',
)

/**
 * Returns the error and its causes, outermost first. The limit of 8 ends the loop if the causes form a cycle.
 */
function chain(error: unknown): PostgresError[] {
  const found: PostgresError[] = []
  for (let at = error; at instanceof Error && found.length < 8; at = at.cause) found.push(at as PostgresError)
  return found
}

/** Returns the message of PostgreSQL for an error of the query library, or else the error's own message. */
export const databaseMessage = (error: unknown): string => chain(error).at(-1)?.message ?? String(error)

/**
 * Converts an error that an SQL function of this program raised (SQLSTATE `BL…`) into a Problem. Returns
 * undefined for any other error.
 */
function refusal(error: PostgresError): Problem | undefined {
  const code: ProblemCode | undefined = error.code ? problemCode(error.code) : undefined
  if (!code) return undefined
  return new Problem(code, error.message, {
    ...(error.detail ? { detail: error.detail } : {}),
    ...(error.hint ? { hint: error.hint } : {}),
  })
}

/**
 * Converts a refused request, a lock timeout or a lost connection into a Problem, which has a message for the
 * operator. Returns any other error unchanged.
 */
export function translate(error: unknown): unknown {
  const errors = chain(error)
  for (const each of errors) {
    const known = refusal(each)
    if (known) return known
  }
  if (errors.some((each) => each.code === LOCK_NOT_AVAILABLE)) {
    return new Problem('busy', 'Another session has locked this app in an open transaction', {
      hint: 'Try again in a moment.',
    })
  }
  const code = errors.find((each) => each.code)?.code
  if (code ? UNAVAILABLE.test(code) : errors.some((each) => CONNECTION_LOST.test(each.message))) {
    return new Problem('database_unavailable', "The database can't be reached", {
      hint: 'Try again in a moment.',
    })
  }
  return error
}

/**
 * Calls `run`, which executes a query, and returns its result.
 * @throws Problem if the database refuses the query or cannot be reached.
 */
export async function translated<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw translate(error)
  }
}
