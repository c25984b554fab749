import { Problem, type ProblemCode, problemCode } from '../domain/problem.ts'

/** What node-postgres puts on an error; slonik keeps it as `cause`. */
interface PostgresError {
  code?: string
  message: string
  detail?: string
  hint?: string
}

/** Classes and codes that mean "not now": the connection is gone, the server is going down or has no room. */
const UNAVAILABLE = /^(08...|57P..|53...|ECONN.*|EPIPE|ENOENT|ETIMEDOUT|ENOTFOUND)$/
const LOCK_NOT_AVAILABLE = '55P03'
/** What the drivers say of a lost connection. Only for errors without a code: what the server says has one. */
const GONE =
  /\b(connection (has been |was )?(terminated|ended|closed|refused|reset)|backend has been terminated|connection error|read timeout|timeout (exceeded|expired)|not queryable|(pool|client) (has been |has |was |is )?(ended|closed|destroyed))\b/i

function chain(error: unknown): PostgresError[] {
  const found: PostgresError[] = []
  for (let at = error; at instanceof Error && found.length < 8; at = at.cause) found.push(at as PostgresError)
  return found
}

function refusal(error: PostgresError): Problem | undefined {
  const code: ProblemCode | undefined = error.code ? problemCode(error.code) : undefined
  if (!code) return undefined
  return new Problem(code, error.message, {
    ...(error.detail ? { detail: error.detail } : {}),
    ...(error.hint ? { hint: error.hint } : {}),
  })
}

/** The database's answer as the one error type of the system; what is not known comes back as it is. */
export function translate(error: unknown): unknown {
  const errors = chain(error)
  for (const each of errors) {
    const known = refusal(each)
    if (known) return known
  }
  if (errors.some((each) => each.code === LOCK_NOT_AVAILABLE)) {
    return new Problem('busy', 'Somebody holds this app in an open transaction', {
      hint: 'Try again in a moment.',
    })
  }
  const code = errors.find((each) => each.code)?.code
  if (code ? UNAVAILABLE.test(code) : errors.some((each) => GONE.test(each.message))) {
    return new Problem('database_unavailable', "The database can't be reached", {
      hint: 'Try again in a moment.',
    })
  }
  return error
}

/** Runs a query; throws a Problem where the database refused or is away. */
export async function translated<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw translate(error)
  }
}
