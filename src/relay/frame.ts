/**
 * Encodes events for an event stream (Server-Sent Events). All clients share the encoded bytes of an event (a
 * frame).
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
 * Event `refresh`, after which the web page reads all apps again. Sent after a change that is not recorded as
 * an event, such as a new display name of an app.
 */
export const refreshFrame: Uint8Array = sse('refresh', {})

/**
 * Returns a heartbeat: a comment, which keeps proxies from closing the connection, and an event for the web
 * page. The newest event id is part of the data, because after an `id:` field a browser would resume from
 * this id, even if the event itself has not arrived.
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

/** Returns an `id:` field without an event. The client resumes after this id when it reconnects. */
export function positionFrame(position: StreamPosition): Uint8Array {
  return encoder.encode(`id: ${formatId(position)}\n\n`)
}

/** Encodes a snapshot (status of all apps) as the body of `GET /api/status` and as a stream event. */
export function snapshotTexts(snapshot: Snapshot): { json: Uint8Array; frame: Uint8Array } {
  const id = formatId(snapshot)
  const json = JSON.stringify({ id, apps: snapshot.apps })
  return {
    json: encoder.encode(json),
    frame: encoder.encode(`event: snapshot\nid: ${id}\ndata: ${json}\n\n`),
  }
}
