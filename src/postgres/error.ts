export type PostgresErrorCode =
  | 'unsupported_platform'
  | 'no_binaries'
  | 'no_user'
  | 'unreachable_directory'
  | 'initdb_failed'
  | 'start_failed'
  | 'other_major'
  | 'facts_lost'
  | 'facts_damaged'

/** The embedded PostgreSQL can't be used. The message gives the operator the reason and what to do. */
export class PostgresError extends Error {
  readonly code: PostgresErrorCode

  constructor(code: PostgresErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
