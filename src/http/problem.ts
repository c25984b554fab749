/** Converts errors to replies of type `application/problem+json` (RFC 9457). */
import { Problem, type ProblemCode } from '../domain/problem.ts'
import type { RelayLog } from '../relay/streamsource.ts'
import { TimeLimitError } from '../system/timeout.ts'
import { json, type Reply, type ResponseHeaders } from './reply.ts'

/** Seconds for the header `Retry-After`, by the code of a temporary error. */
export const RETRY_AFTER_SECONDS: Partial<Record<ProblemCode, number>> = {
  database_unavailable: 2,
  database_read_only: 10,
  too_many_clients: 10,
  too_many_requests: 5,
}

function titleOf(code: ProblemCode): string {
  const words = code.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export function problemReply(problem: Problem, extraHeaders: ResponseHeaders = {}): Reply {
  const { code, status, sqlstate, hint, message, detail } = problem
  const seconds = RETRY_AFTER_SECONDS[code]
  const body = {
    type: `urn:bloud:${code}`,
    title: titleOf(code),
    status,
    detail: detail ? `${message.replace(/\.$/, '')}. ${detail}` : message,
    code,
    ...(hint ? { hint } : {}),
    ...(sqlstate ? { sqlstate } : {}),
  }
  const retry: ResponseHeaders = seconds ? { 'retry-after': String(seconds) } : {}
  return json(body, status, { 'content-type': 'application/problem+json', ...retry, ...extraHeaders })
}

/**
 * Returns the reply for an error. If the error is not a Problem, it is a bug: its message is logged and not
 * sent to the client.
 */
export function errorReply(error: unknown, log: RelayLog): Reply {
  if (error instanceof Problem) return problemReply(error)
  if (error instanceof TimeLimitError) {
    log.warn({ err: error }, 'HTTP request exceeded its time limit')
    return problemReply(new Problem('database_unavailable', 'The database did not answer in time'))
  }
  log.error({ err: error }, 'HTTP request failed')
  return problemReply(
    new Problem('internal', 'The agent failed to handle the HTTP request', {
      hint: "The agent's log contains the error.",
    }),
  )
}
