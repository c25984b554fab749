/**
 * Error codes of the agent, each with its HTTP status. An SQL function raises an error with the SQLSTATE of
 * the code.
 */
export const PROBLEMS = {
  unknown_app: { sqlstate: 'BL001', status: 404 },
  invalid_name: { sqlstate: 'BL002', status: 400 },
  illegal_transition: { sqlstate: 'BL003', status: 409 },
  busy: { sqlstate: 'BL004', status: 409 },
  not_installed: { sqlstate: 'BL005', status: 404 },
  not_available_here: { sqlstate: 'BL006', status: 422 },
  choice_needed: { sqlstate: 'BL007', status: 422 },
  choice_not_compatible: { sqlstate: 'BL008', status: 422 },
  dependency_cycle: { sqlstate: 'BL009', status: 422 },
  required_by_others: { sqlstate: 'BL010', status: 409 },
  system_app: { sqlstate: 'BL011', status: 403 },
  port_taken: { sqlstate: 'BL012', status: 409 },
  nothing_to_cancel: { sqlstate: 'BL013', status: 409 },
  too_late_to_cancel: { sqlstate: 'BL014', status: 409 },
  nothing_to_retry: { sqlstate: 'BL015', status: 409 },
  stale_attempt: { sqlstate: 'BL016', status: 409 },
  invalid_options: { sqlstate: 'BL017', status: 400 },
  append_only: { sqlstate: 'BL018', status: 409 },
  wrong_isolation: { sqlstate: 'BL019', status: 409 },
  already_installed: { sqlstate: 'BL020', status: 409 },
  nothing_to_roll_back: { sqlstate: 'BL021', status: 409 },
  other_folder: { sqlstate: 'BL022', status: 409 },
  // Only the HTTP server raises these errors, so they have no SQLSTATE.
  invalid_json: { status: 400 },
  invalid_request: { status: 400 },
  foreign_host: { status: 403 },
  foreign_origin: { status: 403 },
  unknown_operation: { status: 404 },
  not_found: { status: 404 },
  method_not_allowed: { status: 405 },
  body_too_large: { status: 413 },
  unsupported_media_type: { status: 415 },
  internal: { status: 500 },
  too_many_requests: { status: 429 },
  too_many_clients: { status: 503 },
  database_unavailable: { status: 503 },
  database_read_only: { status: 503 },
} as const satisfies Record<string, { sqlstate?: string; status: number }>

export type ProblemCode = keyof typeof PROBLEMS

/** Error with a code, a message, and a hint for the operator. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly detail: string | undefined
  readonly hint: string | undefined

  constructor(code: ProblemCode, message: string, more: { detail?: string; hint?: string } = {}) {
    super(message)
    this.name = 'Problem'
    this.code = code
    this.detail = more.detail
    this.hint = more.hint
  }

  get status(): number {
    return PROBLEMS[this.code].status
  }

  get sqlstate(): string | undefined {
    const row: { sqlstate?: string; status: number } = PROBLEMS[this.code]
    return row.sqlstate
  }
}

const CODES = new Map(
  Object.entries(PROBLEMS).flatMap(([code, row]) =>
    'sqlstate' in row ? [[row.sqlstate as string, code as ProblemCode]] : [],
  ),
)

/** Returns the error code for an SQLSTATE. Returns undefined if PROBLEMS does not contain the SQLSTATE. */
export function problemCode(sqlstate: string): ProblemCode | undefined {
  return CODES.get(sqlstate)
}
