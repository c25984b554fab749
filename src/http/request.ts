/** What a route gets to know of a request: copied at once, as uWebSockets.js takes its own object back. */
import type { HttpRequest as UwsRequest } from 'uWebSockets.js'
import { type Caller, callerOf } from './admission.ts'

export interface HttpRequest {
  /** As it was sent; methods are case-sensitive. */
  method: string
  /** Still percent-encoded. */
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
  caller: Caller
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
    caller: callerOf(address, req.getHeader('x-forwarded-for')),
  }
}

/** Whether `type` is named by Accept, wildcards not counted, and not refused with q=0. */
export function namesType(accept: string, type: string): boolean {
  return accept.split(',').some((range) => {
    const [name, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return name === type && !parameters.some((one) => /^q=0(\.0*)?$/.test(one))
  })
}

/** Whether Accept lets `type` through, by name or by a wildcard. An absent Accept lets everything through. */
export function takesType(accept: string, type: string): boolean {
  const family = `${type.split('/')[0]}/*`
  return accept === '' || [type, family, '*/*'].some((one) => namesType(accept, one))
}

/** Whether Accept-Encoding names it. A wildcard is not taken for a wish. */
export const acceptsEncoding = (acceptEncoding: string, name: string): boolean =>
  namesType(acceptEncoding, name)
