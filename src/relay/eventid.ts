/**
 * The names of places in the stream: `<epoch>.<seq>`. The epoch is the identity of the history; a database restored
 * from a backup is another history, and its numbers mean nothing to somebody who followed the old one.
 */

export interface StreamPosition {
  epoch: string
  seq: number
}

/** Where the history stands: its newest event, and up to which it was pruned (that event included). */
export interface Head extends StreamPosition {
  prunedTo: number
}

/** Why a client cannot be continued from the id it named. */
export type ResetReason = 'malformed_id' | 'unknown_epoch' | 'future_id' | 'older_than_retention' | 'too_slow'

const ID = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,14})$/

export function formatId(place: StreamPosition): string {
  return `${place.epoch}.${place.seq}`
}

/** Undefined for whatever is not an id of ours. Fifteen digits at most, so that the number is exact. */
export function parseId(text: string): StreamPosition | undefined {
  const match = ID.exec(text)
  return match ? { epoch: match[1] as string, seq: Number(match[2]) } : undefined
}

/** Why nobody can continue after `place` in this history; undefined when it can be continued. */
export function resetReasonFor(place: StreamPosition | undefined, head: Head): ResetReason | undefined {
  if (!place) return 'malformed_id'
  if (place.epoch !== head.epoch) return 'unknown_epoch'
  if (place.seq > head.seq) return 'future_id'
  if (place.seq < head.prunedTo) return 'older_than_retention'
  return undefined
}
