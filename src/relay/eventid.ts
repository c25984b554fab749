/**
 * Event ids of the stream, in the form `<epoch>.<seq>`. `epoch` identifies the event history, and `seq` is
 * the number of an event. A restored database gets a new epoch, because numbers may then be used again.
 */

export interface StreamPosition {
  epoch: string
  seq: number
}

/** Position of the newest event. Old events up to the event number (seq) `prunedTo` have been deleted. */
export interface Head extends StreamPosition {
  prunedTo: number
}

/** Reason why a client cannot resume its stream and needs a snapshot. */
export type ResetReason = 'malformed_id' | 'unknown_epoch' | 'future_id' | 'older_than_retention' | 'too_slow'

const ID = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,14})$/

export function formatId(position: StreamPosition): string {
  return `${position.epoch}.${position.seq}`
}

/**
 * Returns the parts of an event id, or undefined if the id is malformed. A seq has at most 15 digits, because
 * JavaScript numbers with more digits are not exact.
 */
export function parseId(text: string): StreamPosition | undefined {
  const match = ID.exec(text)
  return match ? { epoch: match[1] as string, seq: Number(match[2]) } : undefined
}

/**
 * Returns the reason why a client cannot resume after the event at `position`, or undefined if the client can
 * resume.
 */
export function resetReasonFor(position: StreamPosition | undefined, head: Head): ResetReason | undefined {
  if (!position) return 'malformed_id'
  if (position.epoch !== head.epoch) return 'unknown_epoch'
  if (position.seq > head.seq) return 'future_id'
  if (position.seq < head.prunedTo) return 'older_than_retention'
  return undefined
}
