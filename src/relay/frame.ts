/**
 * Encodes events for a Server-Sent Events stream. All clients share the encoded bytes of an event (a frame).
 */
import { formatId, type ResetReason, type StreamPosition } from './eventid.ts'
import type { Snapshot, StreamEvent } from './streamsource.ts'

export interface Frame {
  seq: number
  app?: string | undefined
  text: string
}

const encoder = new TextEncoder()

/**
 * Encodes an event for the stream. One `data:` line is enough, because JSON text contains no raw line break.
 */
export function sse(event: string, data: unknown, id?: string): Uint8Array {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  return encoder.encode(`event: ${event}\n${idLine}data: ${JSON.stringify(data)}\n\n`)
}

export function appFrame({ epoch, seq, app, json }: StreamEvent): Frame {
  return { seq, app, text: `event: app\nid: ${formatId({ epoch, seq })}\ndata: ${json}\n\n` }
}

export function resetFrame(reason: ResetReason): Uint8Array {
  return sse('reset', { reason })
}

/**
 * Returns the event `stale`, which warns clients that events since the time `since` may be late or missing.
 */
export function staleFrame(since: string): Uint8Array {
  return sse('stale', { since })
}

/**
 * Event `refresh`, which makes the web page read all apps again. Used for changes of an app that are not
 * recorded as events.
 */
export const refreshFrame: Uint8Array = sse('refresh', {})

/**
 * Returns a heartbeat: a comment for proxies and an event for the web page. The newest event id is sent as
 * data, because a browser would take an `id:` field as the id of a received event.
 */
export function heartbeatFrame(head: StreamPosition | undefined): Uint8Array {
  const comment = encoder.encode(': heartbeat\n\n')
  return head
    ? Buffer.concat([comment, sse('heartbeat', { id: formatId(head), at: new Date().toISOString() })])
    : comment
}

/** Returns the `retry` field, which sets the delay before a browser reconnects. */
export function retryFrame(milliseconds: number): Uint8Array {
  return encoder.encode(`retry: ${milliseconds}\n\n`)
}

/** Returns an `id:` field without an event. If the connection ends, the client resumes after this id. */
export function positionFrame(position: StreamPosition): Uint8Array {
  return encoder.encode(`id: ${formatId(position)}\n\n`)
}

/** Encodes a snapshot as the body of `GET /api/status` and as a stream event. */
export function snapshotTexts(snapshot: Snapshot): { json: Uint8Array; frame: Uint8Array } {
  const id = formatId(snapshot)
  const json = JSON.stringify({ id, apps: snapshot.apps })
  return {
    json: encoder.encode(json),
    frame: encoder.encode(`event: snapshot\nid: ${id}\ndata: ${json}\n\n`),
  }
}
