/** Types of replies, and the headers of every reply. */
import { STATUS_CODES } from 'node:http'
import type { ConnectionEvents, Sink } from '../relay/sendqueue.ts'

export type ResponseHeaders = Record<string, string>

export interface Reply {
  status: number
  headers: ResponseHeaders
  body: string | Uint8Array
}

/** Reply whose body is a stream. `open` gets the connection to which the body is written. */
export interface StreamReply {
  headers: ResponseHeaders
  open(sink: Sink): ConnectionEvents
}

/**
 * Security headers of all replies except the web page. These headers forbid a browser to run scripts of the
 * reply and to show the reply inside another web page.
 */
const SECURITY: ResponseHeaders = {
  'content-security-policy':
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
}

export const NO_STORE: ResponseHeaders = { 'cache-control': 'no-store' }

/** Adds the security headers to the headers of a reply. A value in `headers` takes precedence. */
export function withSecurity(headers: ResponseHeaders): ResponseHeaders {
  return { ...SECURITY, ...headers }
}

export function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`
}

export function json(value: unknown, status = 200, headers: ResponseHeaders = {}): Reply {
  return jsonText(JSON.stringify(value), status, headers)
}

export function jsonText(body: string | Uint8Array, status = 200, headers: ResponseHeaders = {}): Reply {
  return { status, headers: { 'content-type': 'application/json', ...NO_STORE, ...headers }, body }
}

export function text(body: string, contentType = 'text/plain; charset=utf-8'): Reply {
  return { status: 200, headers: { 'content-type': contentType, ...NO_STORE }, body }
}

export function eventStream(open: StreamReply['open']): StreamReply {
  return {
    headers: { 'content-type': 'text/event-stream', ...NO_STORE, 'x-accel-buffering': 'no' },
    open,
  }
}
