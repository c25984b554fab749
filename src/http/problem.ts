/** Refusals as `application/problem+json` (RFC 9457). */
import { Problem, type ProblemCode } from '../domain/problem.ts'
import type { RelayLog } from '../relay/streamsource.ts'
import { TimeLimitError } from '../system/timeout.ts'
import { json, type Reply, type ResponseHeaders } from './reply.ts'

/** Seconds after which trying again makes sense, for refusals that pass. */
const RETRY_AFTER_SECONDS: Partial<Record<ProblemCode, number>> = {
  database_unavailable: 2,
  too_many_clients: 10,
}

/** `unknown_app` as a title: `Unknown app`. */
function titleOf(code: ProblemCode): string {
  const words = code.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export function problemReply(problem: Problem, more: ResponseHeaders = {}): Reply {
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
  const wait: ResponseHeaders = seconds ? { 'retry-after': String(seconds) } : {}
  return json(body, status, { 'content-type': 'application/problem+json', ...wait, ...more })
}

/** Any error as an answer. What is not a refusal is a fault of ours: logged in full, and told to nobody outside. */
export function errorReply(error: unknown, log: RelayLog): Reply {
  if (error instanceof Problem) return problemReply(error)
  if (error instanceof TimeLimitError) {
    log.warn({ err: error }, 'a request took too long')
    return problemReply(new Problem('database_unavailable', 'The database does not answer in time'))
  }
  log.error({ err: error }, 'a request failed')
  return problemReply(
    new Problem('internal', 'Something went wrong in the agent', { hint: 'Its log says what.' }),
  )
}
