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

/**
 * Returns the reason why a proxy and this server could read the request differently, or null. An attacker
 * could otherwise hide a second request in the body of the first (request smuggling).
 */
function ambiguityOf(req: UwsRequest): string | null {
  const counts = new Map<string, number>()
  req.forEach((name) => void counts.set(name, (counts.get(name) ?? 0) + 1))
  const repeated = SINGLE_HEADERS.find((name) => (counts.get(name) ?? 0) > 1)
  if (repeated) return `The HTTP request has more than one ${repeated} header`
  const encoding = req.getHeader('transfer-encoding')
  if (counts.has('transfer-encoding') && encoding.toLowerCase() !== 'chunked')
    return 'The HTTP request has a Transfer-Encoding other than chunked'
  if (counts.has('transfer-encoding') && counts.has('content-length'))
    return 'The HTTP request has a Transfer-Encoding and a Content-Length header'
  return null
}

export function copyRequest(req: UwsRequest, address: Uint8Array): HttpRequest {
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
    ambiguity: ambiguityOf(req),
    caller: callerOf(address, req.getHeader('x-forwarded-for')),
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
