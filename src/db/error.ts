import { Problem, type ProblemCode, problemCode } from '../domain/problem.ts'

/** Error of node-postgres. The library slonik throws errors of its own that contain this error as `cause`. */
interface PostgresError {
  code?: string
  message: string
  detail?: string
  hint?: string
}

/**
 * Codes of temporary failures (SQLSTATEs and system error codes): the connection was lost, or the server is
 * stopping or out of resources.
 */
const UNAVAILABLE = /^(08...|57P..|53...|ECONN.*|EPIPE|ENOENT|ETIMEDOUT|ENOTFOUND)$/
const LOCK_NOT_AVAILABLE = '55P03'
/** Messages of the database drivers for a lost connection. Used for errors without a code. */
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

/** Returns the error followed by its causes, outermost first, at most 8 errors. */
function chain(error: unknown): PostgresError[] {
  const found: PostgresError[] = []
  for (let at = error; at instanceof Error && found.length < 8; at = at.cause) found.push(at as PostgresError)
  return found
}

/**
 * Converts a database error with an SQLSTATE of this program (`BL…`) into a Problem. Returns undefined for
 * any other error.
 */
function refusal(error: PostgresError): Problem | undefined {
  const code: ProblemCode | undefined = error.code ? problemCode(error.code) : undefined
  if (!code) return undefined
  return new Problem(code, error.message, {
    ...(error.detail ? { detail: error.detail } : {}),
    ...(error.hint ? { hint: error.hint } : {}),
  })
}

/** Converts a known database error into a Problem. Returns any other error unchanged. */
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
 * Runs a query and returns its result.
 * @throws Problem if the database refuses the query or cannot be reached.
 */
export async function translated<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw translate(error)
  }
}
