/** Returns events to clients that poll instead of using a stream. */
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { formatId, parseId, type ResetReason, resetReasonFor } from './eventid.ts'
import { createFilter, type Filter } from './filter.ts'
import type { StreamSource } from './streamsource.ts'

export interface PollResult {
  /** Event id that the client must send as parameter `after` of its next request. */
  id: string
  events: readonly object[]
  /**
   * Reason why events are missing. The client must then read `GET /api/status` and continue with the event id
   * in that response.
   */
  reset?: ResetReason
}

/**
 * Returns the function that answers a polling request. Without `after`, the answer contains only the newest
 * event id.
 */
export function createPoll(source: StreamSource, readLimitMs: number) {
  async function read(after: string | undefined, limit: number, filter?: Filter): Promise<PollResult> {
    const position = after === undefined ? undefined : parseId(after)
    const events = position ? await source.streamAfter(position.seq, limit) : []
    // The position of the newest event (head) is read after the events, so that `prunedTo` includes all
    // deletions that happened before the events were read.
    const head = await source.head()
    if (after === undefined) return { id: formatId(head), events: [] }
    const reset = resetReasonFor(position, head)
    if (reset) return { id: formatId(head), events: [], reset }
    const last = events.at(-1)
    const included = filter ? events.filter(({ app }) => filter.includes(app)) : events
    return {
      id: last ? formatId({ epoch: head.epoch, seq: last.seq }) : after,
      events: included.map(({ json }) => JSON.parse(json)),
    }
  }

  return (after: string | undefined, limit: number, apps: readonly string[] = []) =>
    withTimeout(read(after, limit, createFilter(apps)), readLimitMs, timeLimitError('Reading events'))
}
