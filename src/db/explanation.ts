/** Adds to the error of a connection what the operator can do. */

export const POOLER =
  'DATABASE_URL leads to a connection pooler (PgBouncer, for example) that does not keep sessions, but the agent ' +
  'needs them for LISTEN and its settings: use the address of PostgreSQL itself.'

/** Sentences by pattern of an error's code and message. */
const EXPLANATIONS: [RegExp, string][] = [
  [/unsupported startup parameter/, POOLER],
  [/no pg_hba\.conf entry.*(no encryption|SSL off)/, 'If the server insists on TLS, add ?sslmode=require.'],
  [/does not support SSL/, 'The server has no TLS: remove sslmode from DATABASE_URL.'],
  [
    /SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)|ERR_TLS_CERT_ALTNAME|CERT_HAS_EXPIRED/,
    'Name the root certificate with sslrootcert=/path, or use sslmode=require, which does not check it.',
  ],
]

/** Adds what to do to the message of an error, if the cause is known. */
export function explained(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code = '' } = error as { code?: string }
  const advice = EXPLANATIONS.find(([pattern]) => pattern.test(`${code} ${error.message}`))?.[1]
  if (advice && !error.message.includes(advice))
    error.message = `${error.message.replace(/\.$/, '')}. ${advice}`
  return error
}
