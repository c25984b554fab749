/**
 * Queue of bytes for one client whose connection is full (accepts no more data). A queue is plain data
 * without closures, because a process can have 10,000 queues.
 */

/**
 * Upper limit of the size of one write in bytes. uWebSockets.js before v20.77.0 has a bug in writes that are
 * larger than 16 KiB.
 */
export const CHUNK_BYTES = 15 * 1024

export interface Sink {
  /**
   * Writes the whole chunk: uWebSockets.js keeps the part that the connection does not accept. Returns false
   * if the connection is full afterwards.
   */
  write(chunk: Uint8Array): boolean
  end(): void
  /** Closes the connection at once, without a regular end of the stream. */
  close(): void
}

/** Functions that the HTTP server calls for events of a connection. */
export interface ConnectionEvents {
  writable(): void
  closed(): void
}

export interface SendQueue {
  readonly sink: Sink
  queue: Uint8Array[]
  /**
   * Time at which the connection became full, in milliseconds of `performance.now()`. Undefined while the
   * connection accepts data.
   */
  fullSince: number | undefined
  closed: boolean
}

/** Comment line of an event stream, which clients ignore. */
export const COMMENT = new TextEncoder().encode(':\n\n')

export function createSendQueue(sink: Sink): SendQueue {
  return { sink, queue: [], fullSince: undefined, closed: false }
}

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
  // A new array replaces the emptied array, because an emptied JavaScript array keeps its memory.
  if (sendQueue.queue.length === 1) sendQueue.queue = []
  else sendQueue.queue.shift()
  return next
}

/** Writes queued bytes. Returns true if all bytes are written and the connection still accepts data. */
export function drain(sendQueue: SendQueue): boolean {
  while (sendQueue.queue.length > 0 && sendQueue.fullSince === undefined && !sendQueue.closed)
    writePiece(sendQueue, takeQueued(sendQueue))
  return sendQueue.fullSince === undefined && !sendQueue.closed
}

/**
 * Adds bytes to the queue and writes until the connection is full. The caller must not change the bytes
 * afterwards, because the queue holds no copy.
 */
export function send(sendQueue: SendQueue, bytes: Uint8Array): boolean {
  if (bytes.length > CHUNK_BYTES || !isIdle(sendQueue)) sendQueue.queue.push(bytes)
  else if (bytes.length > 0) writePiece(sendQueue, bytes)
  return drain(sendQueue)
}

export function isIdle(sendQueue: SendQueue): boolean {
  return sendQueue.queue.length === 0 && sendQueue.fullSince === undefined && !sendQueue.closed
}

/**
 * Continues to write when the connection accepts data again. If the queue is empty, writes `filler`, because
 * uWebSockets.js sends its own buffered bytes only with the next write. Without `filler`, the last 18 kB of a
 * stream were not sent in a test.
 */
export function resume(sendQueue: SendQueue, filler: Uint8Array = COMMENT): boolean {
  sendQueue.fullSince = undefined
  if (sendQueue.queue.length === 0 && filler.length > 0) sendQueue.queue.push(filler)
  return drain(sendQueue)
}

export function isStuck(sendQueue: SendQueue, milliseconds: number): boolean {
  return sendQueue.fullSince !== undefined && performance.now() - sendQueue.fullSince > milliseconds
}

/** Empties the queue of a connection that is closed or about to be closed. */
export function discard(sendQueue: SendQueue): void {
  sendQueue.closed = true
  sendQueue.queue = []
}
