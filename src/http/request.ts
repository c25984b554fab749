/**
 * Copies the data of an HTTP request, because uWebSockets.js reuses its request object after the handler has
 * returned.
 */
import type { HttpRequest as UwsRequest } from 'uWebSockets.js'
import { type Caller, callerOf } from './admission.ts'

export interface HttpRequest {
  /** HTTP method in the upper or lower case that the client sent, because HTTP methods are case-sensitive. */
  method: string
  path: string
  query: URLSearchParams
  host: string
  origin: string
  secFetchSite: string
  accept: string
  acceptEncoding: string
  contentType: string
  contentLength: string
  transferEncoding: string
  lastEventId: string
  ifNoneMatch: string
  bloudOrigin: string
  /** Reason why two servers could read the request differently, or null. */
  ambiguity: string | null
  caller: Caller
}

/** Headers that decide where a request ends and which server it is for. Each may be sent only once. */
const SINGLE_HEADERS = ['host', 'content-length', 'transfer-encoding']

/** Returns the values of each header by its name in lower case, in the order in which they were sent. */
function valuesByName(req: UwsRequest): Map<string, string[]> {
  const values = new Map<string, string[]>()
  req.forEach((name, value) => void values.set(name, [...(values.get(name) ?? []), value]))
  return values
}

/**
 * Returns the reason why a proxy and this server could read the request differently, or null. An attacker
 * could otherwise hide a second request in the body of the first (request smuggling).
 */
function ambiguityOf(values: Map<string, string[]>): string | null {
  const repeated = SINGLE_HEADERS.find((name) => (values.get(name)?.length ?? 0) > 1)
  if (repeated) return `The HTTP request has more than one ${repeated} header`
  const encoding = values.get('transfer-encoding')?.[0]
  if (encoding === undefined) return null
  if (encoding.toLowerCase() !== 'chunked')
    return 'The HTTP request has a Transfer-Encoding other than chunked'
  return values.has('content-length')
    ? 'The HTTP request has a Transfer-Encoding and a Content-Length header'
    : null
}

export function copyRequest(req: UwsRequest, address: Uint8Array): HttpRequest {
  const values = valuesByName(req)
  return {
    method: req.getCaseSensitiveMethod(),
    path: req.getUrl(),
    query: new URLSearchParams(req.getQuery() ?? ''),
    host: req.getHeader('host'),
    origin: req.getHeader('origin'),
    secFetchSite: req.getHeader('sec-fetch-site'),
    accept: req.getHeader('accept'),
    acceptEncoding: req.getHeader('accept-encoding'),
    contentType: req.getHeader('content-type'),
    contentLength: req.getHeader('content-length'),
    transferEncoding: req.getHeader('transfer-encoding'),
    lastEventId: req.getHeader('last-event-id'),
    ifNoneMatch: req.getHeader('if-none-match'),
    bloudOrigin: req.getHeader('x-bloud-origin'),
    ambiguity: ambiguityOf(values),
    // A proxy such as HAProxy adds a header of its own after a header that the client sent.
    caller: callerOf(address, values.get('x-forwarded-for')?.at(-1) ?? ''),
  }
}

/**
 * Returns true if the `Accept` header names `type` itself. A wildcard does not count, and `q=0` means that
 * the client refuses the type.
 */
export function namesType(accept: string, type: string): boolean {
  return accept.split(',').some((range) => {
    const [name, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return name === type && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

/**
 * Returns true if the `Accept` header allows `type`, by name or by a wildcard. An empty header allows every
 * type.
 */
export function acceptsType(accept: string, type: string): boolean {
  const family = `${type.split('/')[0]}/*`
  return accept === '' || [type, family, '*/*'].some((range) => namesType(accept, range))
}

/**
 * Returns true if the header `Accept-Encoding` names the encoding `name` itself. A wildcard does not count.
 */
export const acceptsEncoding = (acceptEncoding: string, name: string): boolean =>
  namesType(acceptEncoding, name)
