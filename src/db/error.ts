import { Problem, type ProblemCode, problemCode } from '../domain/problem.ts'

/**
 * Error of the driver node-postgres. The query library slonik throws its own errors, whose `cause` is this
 * one.
 */
interface PostgresError {
  code?: string
  severity?: string
  message: string
  detail?: string
  hint?: string
}

interface Failure {
  /** Pattern of SQLSTATEs and of codes of the operating system. */
  codes: RegExp
  problem: ProblemCode
  message: string
  hint: string
}

const AGAIN = 'Try again in a moment.'
/** Failures that do not depend on the request. The first pattern that fits is used. */
const FAILURES: Failure[] = [
  {
    codes: /^25006$/,
    problem: 'database_read_only',
    message: 'The database accepts no changes, because it is read-only',
    hint: 'It is a standby server, or default_transaction_read_only is on: GET /readyz has the reason.',
  },
  {
    codes: /^(28...|3D000)$/,
    problem: 'database_unavailable',
    message: 'The database refuses the login of the agent',
    hint: 'Check login, password and database name in DATABASE_URL.',
  },
  {
    codes: /^53[12]..$/,
    problem: 'database_unavailable',
    message: 'The database server has no disk space or memory left',
    hint: 'Free some space, then try again.',
  },
  {
    codes: /^53...$/,
    problem: 'database_unavailable',
    message: 'The database server has no free connection',
    hint: AGAIN,
  },
  {
    codes: /^57014$/,
    problem: 'database_unavailable',
    message: 'The database did not answer in time',
    hint: AGAIN,
  },
  {
    codes: /^58...$/,
    problem: 'database_unavailable',
    message: 'The database server can not use its files or its shared memory',
    hint: 'Read the log of the database server.',
  },
  {
    codes: /^(55P03|40001|40P01)$/,
    problem: 'busy',
    message: 'Another session has locked this app in an open transaction',
    hint: AGAIN,
  },
  {
    codes: /^(08...|57P..|ECONN.*|EPIPE|ENOENT|ETIMEDOUT|ENOTFOUND|EAI_.*|E(HOST|NET)(UNREACH|DOWN))$/,
    problem: 'database_unavailable',
    message: "The database can't be reached",
    hint: AGAIN,
  },
]
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
 * Converts a refused request, or a failure of the database that does not depend on the request, into a
 * Problem, which has a message for the operator. Returns any other error unchanged.
 */
export function translate(error: unknown): unknown {
  const errors = chain(error)
  for (const each of errors) {
    const known = refusal(each)
    if (known) return known
  }
  const code = errors.find((each) => each.code)?.code
  const failure = code && FAILURES.find(({ codes }) => codes.test(code))
  if (failure) return new Problem(failure.problem, failure.message, { hint: failure.hint })
  if (!code && errors.some((each) => CONNECTION_LOST.test(each.message)))
    return new Problem('database_unavailable', "The database can't be reached", { hint: AGAIN })
  return errors.some(isRefusedConnection) ? refusedConnection() : error
}

const TRANSACTION_STATE = /^25...$/

/**
 * Returns true if the server refused or ended the connection. A missing right (42501), for example, concerns
 * the connection only with the severity FATAL, and else a statement.
 */
const isRefusedConnection = ({ code = '', severity }: PostgresError): boolean =>
  severity === 'FATAL' && !TRANSACTION_STATE.test(code)

const refusedConnection = () =>
  new Problem('database_unavailable', 'The database refuses the connection of the agent', {
    hint: "Check login, password and database in DATABASE_URL. The database server's log has the reason.",
  })

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
