/** Encodes events for a Server-Sent Events stream. Each frame is created once and shared by all clients. */
import { formatId, type ResetReason, type StreamPosition } from './eventid.ts'
import type { Snapshot, StreamEvent } from './streamsource.ts'

export interface Frame {
  seq: number
  app?: string | undefined
  text: string
}

const encoder = new TextEncoder()

/** Encodes one event. One `data:` line is always enough, because JSON text contains no raw line break. */
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
 * Creates `stale`: events may be late or missing since `since`. The next heartbeat or event ends that state.
 */
export function staleFrame(since: string): Uint8Array {
  return sse('stale', { since })
}

/** Event `refresh`: facts about apps changed that are not part of the history; the page reads them again. */
export const refreshFrame: Uint8Array = sse('refresh', {})

/**
 * Creates a heartbeat: a comment for proxies, and an event for the page, because browsers hide comments. The
 * event has the newest id and the time of this machine as data. It has no `id:` field, because the browser
 * would then resume from an event that this client may not have received yet.
 */
export function heartbeatFrame(head: StreamPosition | undefined): Uint8Array {
  const comment = encoder.encode(': heartbeat\n\n')
  return head
    ? Buffer.concat([comment, sse('heartbeat', { id: formatId(head), at: new Date().toISOString() })])
    : comment
}

/** Creates `retry`: the delay before a browser reconnects. */
export function retryFrame(milliseconds: number): Uint8Array {
  return encoder.encode(`retry: ${milliseconds}\n\n`)
}

/**
 * Creates an id without an event: the client resumes after it, because the filter excluded all events before
 * it.
 */
export function positionFrame(position: StreamPosition): Uint8Array {
  return encoder.encode(`id: ${formatId(position)}\n\n`)
}

/** Encodes a snapshot as the answer of `GET /api/status` and as an event with the same JSON text. */
export function snapshotTexts(snapshot: Snapshot): { json: Uint8Array; frame: Uint8Array } {
  const id = formatId(snapshot)
  const json = JSON.stringify({ id, apps: snapshot.apps })
  return {
    json: encoder.encode(json),
    frame: encoder.encode(`event: snapshot\nid: ${id}\ndata: ${json}\n\n`),
  }
}
