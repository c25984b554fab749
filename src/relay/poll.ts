/** The stream for clients that ask now and then instead of holding a connection. */
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { formatId, parseId, type ResetReason, resetReasonFor } from './eventid.ts'
import { createFilter, type Filter } from './filter.ts'
import type { StreamSource } from './streamsource.ts'

export interface Polled {
  /** Ask `after` this one next. */
  id: string
  events: readonly object[]
  /** What was asked for cannot be continued: read `GET /api/status` and go on from its id. */
  reset?: ResetReason
}

/** Without `after`: where the history stands, and no events. */
export function createPoll(source: StreamSource, readLimitMs: number) {
  async function read(after: string | undefined, limit: number, filter?: Filter): Promise<Polled> {
    const place = after === undefined ? undefined : parseId(after)
    const events = place ? await source.streamAfter(place.seq, limit) : []
    // Looked at after the events: had older ones been pruned before they were read, it would show here.
    const head = await source.head()
    if (after === undefined) return { id: formatId(head), events: [] }
    const reset = resetReasonFor(place, head)
    if (reset) return { id: formatId(head), events: [], reset }
    const last = events.at(-1)
    const wanted = filter ? events.filter(({ app }) => filter.lets(app)) : events
    return {
      id: last ? formatId({ epoch: head.epoch, seq: last.seq }) : after,
      events: wanted.map(({ json }) => JSON.parse(json)),
    }
  }

  return (after: string | undefined, limit: number, apps: readonly string[] = []) =>
    withTimeout(read(after, limit, createFilter(apps)), readLimitMs, timeLimitError('Reading events'))
}
