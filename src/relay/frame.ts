/** Events as they stand in a Server-Sent Events stream. Each is made once and shared by all clients. */
import { formatId, type ResetReason, type StreamPosition } from './eventid.ts'
import type { Snapshot, StreamEvent } from './streamsource.ts'

export interface Frame {
  seq: number
  app?: string | undefined
  text: string
}

const encoder = new TextEncoder()

/** JSON has no raw line break, so one `data:` line always does. */
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

/** Data came late or not at all since `since`; the next heartbeat or event says that all is well again. */
export function staleFrame(since: string): Uint8Array {
  return sse('stale', { since })
}

/** Something about apps changed that is no event. */
export const refreshFrame: Uint8Array = sse('refresh', {})

/** A comment for proxies, and an event for pages (which never see comments): the newest id and our clock. It has no `id:`, as the browser would
 *  otherwise resume from a place whose events this client may not have got yet. */
export function heartbeatFrame(head: StreamPosition | undefined): Uint8Array {
  const comment = encoder.encode(': heartbeat\n\n')
  return head
    ? Buffer.concat([comment, sse('heartbeat', { id: formatId(head), at: new Date().toISOString() })])
    : comment
}

export function retryFrame(milliseconds: number): Uint8Array {
  return encoder.encode(`retry: ${milliseconds}\n\n`)
}

/** Moves the place a client would resume from, without an event: all up to there was looked at, and is not for it. */
export function positionFrame(place: StreamPosition): Uint8Array {
  return encoder.encode(`id: ${formatId(place)}\n\n`)
}

/** The snapshot as the answer of `GET /api/status`, and the same text as an event. */
export function snapshotTexts(snapshot: Snapshot): { json: Uint8Array; frame: Uint8Array } {
  const id = formatId(snapshot)
  const json = JSON.stringify({ id, apps: snapshot.apps })
  return {
    json: encoder.encode(json),
    frame: encoder.encode(`event: snapshot\nid: ${id}\ndata: ${json}\n\n`),
  }
}
