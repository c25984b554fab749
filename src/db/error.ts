import { Problem, type ProblemCode, problemCode } from '../domain/problem.ts'

/** Error of node-postgres; slonik wraps it and keeps it as `cause`. */
interface PostgresError {
  code?: string
  message: string
  detail?: string
  hint?: string
}

/**
 * SQLSTATE classes and system codes that mean "try later": connection lost, server stopping or out of
 * resources.
 */
const UNAVAILABLE = /^(08...|57P..|53...|ECONN.*|EPIPE|ENOENT|ETIMEDOUT|ENOTFOUND)$/
const LOCK_NOT_AVAILABLE = '55P03'
/**
 * Messages of the drivers for a lost connection. Only tested on errors without a code; errors of the server
 * have one.
 */
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

/** Returns the error and its causes, at most 8. */
function chain(error: unknown): PostgresError[] {
  const found: PostgresError[] = []
  for (let at = error; at instanceof Error && found.length < 8; at = at.cause) found.push(at as PostgresError)
  return found
}

/** Returns the Problem if the SQLSTATE is one of the system (`BL…`), else undefined. */
function refusal(error: PostgresError): Problem | undefined {
  const code: ProblemCode | undefined = error.code ? problemCode(error.code) : undefined
  if (!code) return undefined
  return new Problem(code, error.message, {
    ...(error.detail ? { detail: error.detail } : {}),
    ...(error.hint ? { hint: error.hint } : {}),
  })
}

/** Converts an error of the database into a Problem. Returns an unknown error unchanged. */
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

/** Runs a query. @throws Problem if the database refuses it or cannot be reached. */
export async function translated<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw translate(error)
  }
}
