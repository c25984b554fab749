/**
 * Send queue of one connection with backpressure: after the sink reports that it is full, nothing is written
 * until it is writable again. A queue is plain data without closures, because there can be 10,000 of them.
 */

/**
 * Upper limit of one write in bytes. uWebSockets.js copies up to 16 KiB, including chunk framing, into its
 * cork buffer; releases before v20.77.0 have a bug beyond that.
 */
export const CHUNK_BYTES = 15 * 1024

/** Destination of the bytes of one client. */
export interface Sink {
  /** Accepts the chunk in any case; returns false if the sink is full afterwards. */
  write(chunk: Uint8Array): boolean
  /** Ends the stream according to its protocol. */
  end(): void
  /** Closes the connection without ending the stream. */
  close(): void
}

/** Events of a connection, reported by the owner of its sink. */
export interface ConnectionEvents {
  /** The sink can be written to again. */
  writable(): void
  /** The connection is closed, by either side. */
  closed(): void
}

export interface SendQueue {
  readonly sink: Sink
  /** Shared bytes to be written; the first item may be the rest of a larger one. */
  queue: Uint8Array[]
  /**
   * Time at which the sink became full, in milliseconds of `performance.now()`; undefined while it is
   * writable.
   */
  fullSince: number | undefined
  closed: boolean
}

/** Comment of an event stream, which clients ignore. */
export const COMMENT = new TextEncoder().encode(':\n\n')

export function createSendQueue(sink: Sink): SendQueue {
  return { sink, queue: [], fullSince: undefined, closed: false }
}

/** Totals of all send queues since the process started. */
export const written = { bytes: 0, writes: 0 }

function writePiece(sendQueue: SendQueue, piece: Uint8Array): void {
  written.bytes += piece.length
  written.writes += 1
  const writable = sendQueue.sink.write(piece)
  if (!writable) sendQueue.fullSince = performance.now()
}

function takeQueued(sendQueue: SendQueue): Uint8Array {
  const next = sendQueue.queue[0] as Uint8Array
  if (next.length > CHUNK_BYTES) {
    sendQueue.queue[0] = next.subarray(CHUNK_BYTES)
    return next.subarray(0, CHUNK_BYTES)
  }
  // A new array, because an emptied one keeps its allocated memory.
  if (sendQueue.queue.length === 1) sendQueue.queue = []
  else sendQueue.queue.shift()
  return next
}

/** Writes queued bytes. Returns true if all are written and the sink is still writable. */
export function drain(sendQueue: SendQueue): boolean {
  while (sendQueue.queue.length > 0 && sendQueue.fullSince === undefined && !sendQueue.closed)
    writePiece(sendQueue, takeQueued(sendQueue))
  return sendQueue.fullSince === undefined && !sendQueue.closed
}

/** Queues bytes and writes until the sink is full. The caller must not change the bytes afterwards. */
export function send(sendQueue: SendQueue, bytes: Uint8Array): boolean {
  if (bytes.length > CHUNK_BYTES || !isIdle(sendQueue)) sendQueue.queue.push(bytes)
  else if (bytes.length > 0) writePiece(sendQueue, bytes)
  return drain(sendQueue)
}

/** Returns true if nothing is queued and the sink is writable, so that bytes do not land inside an event. */
export function isIdle(sendQueue: SendQueue): boolean {
  return sendQueue.queue.length === 0 && sendQueue.fullSince === undefined && !sendQueue.closed
}

/**
 * Continues after backpressure. uWebSockets.js sends the bytes it still buffers only with the next write
 * (seen: the last 18 kB of a stream never arrived). So `filler` is written if nothing is queued. It is empty
 * if the owner writes or ends the stream next anyway.
 */
export function resume(sendQueue: SendQueue, filler: Uint8Array = COMMENT): boolean {
  sendQueue.fullSince = undefined
  if (sendQueue.queue.length === 0 && filler.length > 0) sendQueue.queue.push(filler)
  return drain(sendQueue)
}

/** Returns true if the sink has been full for longer than `milliseconds`. */
export function isStuck(sendQueue: SendQueue, milliseconds: number): boolean {
  return sendQueue.fullSince !== undefined && performance.now() - sendQueue.fullSince > milliseconds
}

/** Empties the queue, because the connection is closed or about to be closed. */
export function discard(sendQueue: SendQueue): void {
  sendQueue.closed = true
  sendQueue.queue = []
}
