/** HTTP route of one file of the web page, with compression and an ETag. */
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Reply, ResponseHeaders } from './reply.ts'
import { acceptsEncoding, type HttpRequest } from './request.ts'
import type { RequestContext, Route } from './router.ts'

const compressGzip = promisify(gzip)
const compressBrotli = promisify(brotliCompress)

/**
 * Size in bytes from which a body is compressed. A smaller body fits into one network packet even without
 * compression.
 */
const COMPRESS_FROM_BYTES = 1000
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } }

export interface Asset {
  type: string
  body: Buffer
  /** True if the path contains a hash of the content. The browser may then cache the file forever. */
  immutable?: boolean
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64url')

export const hashOf = (body: Buffer): string => sha256(body).slice(0, 16)

/** Compressed bodies by body. Requests at the same time share a body, such as the status of all apps. */
const gzipped = new WeakMap<Uint8Array, Promise<Buffer>>()

/**
 * Compresses the body of a reply with gzip if the client accepts gzip. With the default level, a status of
 * 500 apps shrinks to a twentieth.
 */
export async function compressed({ acceptEncoding }: HttpRequest, reply: Reply): Promise<Reply> {
  if (Buffer.byteLength(reply.body) < COMPRESS_FROM_BYTES) return reply
  const headers: ResponseHeaders = { ...reply.headers, vary: 'accept-encoding' }
  if (!acceptsEncoding(acceptEncoding, 'gzip')) return { ...reply, headers }
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
  const bytes = gzipped.get(body) ?? compressGzip(body)
  gzipped.set(body, bytes)
  return { ...reply, headers: { ...headers, 'content-encoding': 'gzip' }, body: await bytes }
}

const COMPRESSIBLE = /^(application\/json|text\/html)/

/** Returns true for a reply that `compressed` makes smaller. Files are compressed by their own routes. */
export const isCompressible = ({ headers }: Reply): boolean =>
  headers['content-encoding'] === undefined && COMPRESSIBLE.test(headers['content-type'] ?? '')

function createEncodings(body: Buffer) {
  const cache = new Map<string, Promise<Buffer>>()
  const compressors: Record<string, () => Promise<Buffer>> = {
    br: () => compressBrotli(body, BROTLI),
    gzip: () => compressGzip(body, { level: constants.Z_BEST_COMPRESSION }),
  }
  return function encode(acceptEncoding: string): { encoding: string; bytes: Promise<Buffer> } | undefined {
    const encoding = Object.keys(compressors).find((name) => acceptsEncoding(acceptEncoding, name))
    const compress = encoding && body.length >= COMPRESS_FROM_BYTES ? compressors[encoding] : undefined
    if (!encoding || !compress) return undefined
    const bytes = cache.get(encoding) ?? compress()
    cache.set(encoding, bytes)
    return { encoding, bytes }
  }
}

export function assetRoute(path: string, { type, body, immutable = false }: Asset): Route {
  const etag = `"${sha256(body).slice(0, 27)}"`
  const encode = createEncodings(body)
  const headers: ResponseHeaders = {
    'content-type': type,
    etag,
    vary: 'accept-encoding',
    // With `no-cache`, the browser checks at each load whether the file has changed.
    'cache-control': immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  }
  return {
    path,
    async GET({ request }: RequestContext): Promise<Reply> {
      const isCached = request.ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
      if (isCached) return { status: 304, headers, body: '' }
      const encoded = encode(request.acceptEncoding)
      if (!encoded) return { status: 200, headers, body }
      const { encoding, bytes } = encoded
      return { status: 200, headers: { ...headers, 'content-encoding': encoding }, body: await bytes }
    },
  }
}
