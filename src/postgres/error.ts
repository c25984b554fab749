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
  | 'cluster_damaged'

/**
 * Error that prevents the use of the agent's PostgreSQL server. The message contains the reason and advice
 * for the operator.
 */
export class PostgresError extends Error {
  readonly code: PostgresErrorCode

  constructor(code: PostgresErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
