/**
 * One way out of the agent: bytes in pieces that its sink takes, no more than it takes. When the sink says that it is
 * full nothing more is written until it says that it takes more. Plain data and functions, as there are ten thousand.
 */

/** Bytes of one write. uWebSockets.js copies up to 16 KiB into its cork buffer, chunk framing included; its releases
 *  before v20.77.0 are at fault beyond that. */
export const CHUNK_BYTES = 15 * 1024

/** Where the bytes of one client go. */
export interface Sink {
  /** Takes the chunk in any case; false when it is full. */
  write(chunk: Uint8Array): boolean
  /** Ends the stream as its protocol says. */
  end(): void
  /** Breaks the connection. */
  close(): void
}

/** What the owner of a sink reports of it. */
export interface ConnectionEvents {
  /** It takes more. */
  writable(): void
  /** It is closed, by whomever. */
  closed(): void
}

export interface SendQueue {
  readonly sink: Sink
  /** Shared bytes still to be written; the first may be the rest of a longer piece. */
  queue: Uint8Array[]
  /** When the sink became full (milliseconds of `performance.now()`); undefined while it takes more. */
  fullSince: number | undefined
  closed: boolean
}

/** A comment of an event stream: no client sees it. */
export const COMMENT = new TextEncoder().encode(':\n\n')

export function createSendQueue(sink: Sink): SendQueue {
  return { sink, queue: [], fullSince: undefined, closed: false }
}

/** Of all outlets, since the start. */
export const written = { bytes: 0, writes: 0 }

function writePiece(outlet: SendQueue, piece: Uint8Array): void {
  written.bytes += piece.length
  written.writes += 1
  const more = outlet.sink.write(piece)
  if (!more) outlet.fullSince = performance.now()
}

function takeQueued(outlet: SendQueue): Uint8Array {
  const next = outlet.queue[0] as Uint8Array
  if (next.length > CHUNK_BYTES) {
    outlet.queue[0] = next.subarray(CHUNK_BYTES)
    return next.subarray(0, CHUNK_BYTES)
  }
  // An array that once held something keeps room for it.
  if (outlet.queue.length === 1) outlet.queue = []
  else outlet.queue.shift()
  return next
}

/** Writes what is queued; true when all of it is written and the sink takes more. */
export function drain(outlet: SendQueue): boolean {
  while (outlet.queue.length > 0 && outlet.fullSince === undefined && !outlet.closed)
    writePiece(outlet, takeQueued(outlet))
  return outlet.fullSince === undefined && !outlet.closed
}

/** Queues bytes that must not be changed any more, and writes what the sink takes. */
export function send(outlet: SendQueue, bytes: Uint8Array): boolean {
  if (bytes.length > CHUNK_BYTES || !isIdle(outlet)) outlet.queue.push(bytes)
  else if (bytes.length > 0) writePiece(outlet, bytes)
  return drain(outlet)
}

/** Whether a notice may be written between two events now. */
export function isIdle(outlet: SendQueue): boolean {
  return outlet.queue.length === 0 && outlet.fullSince === undefined && !outlet.closed
}

/**
 * The sink takes more. What uWebSockets.js holds back after it was full it sends with the next write only (seen: the
 * last 18 kB of a stream never came), so where nothing waits to be written `filler` is. It is empty where the owner
 * writes or ends next anyway.
 */
export function resume(outlet: SendQueue, filler: Uint8Array = COMMENT): boolean {
  outlet.fullSince = undefined
  if (outlet.queue.length === 0 && filler.length > 0) outlet.queue.push(filler)
  return drain(outlet)
}

export function isStuck(outlet: SendQueue, milliseconds: number): boolean {
  return outlet.fullSince !== undefined && performance.now() - outlet.fullSince > milliseconds
}

/** Forgets what was queued; for a sink that is gone or about to go. */
export function discard(outlet: SendQueue): void {
  outlet.closed = true
  outlet.queue = []
}
