/** Files of the page: read once at the start, compressed once, and asked about by their hash. */
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Reply, ResponseHeaders } from './reply.ts'
import { acceptsEncoding, type HttpRequest } from './request.ts'
import type { RequestContext, Route } from './router.ts'

const compressGzip = promisify(gzip)
const compressBrotli = promisify(brotliCompress)

/** Below this a compressed answer saves no packet. */
const WORTH_BYTES = 1000
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } }

export interface Asset {
  type: string
  body: Buffer
  /** Of a name that contains the hash: it never changes. */
  forever?: boolean
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64url')

/** A short name for exactly these bytes. */
export const hashOf = (body: Buffer): string => sha256(body).slice(0, 16)

/** A body as the client takes it. */
export async function compressed(
  { acceptEncoding }: HttpRequest,
  body: Buffer,
): Promise<{ headers: ResponseHeaders; body: Buffer }> {
  const headers: ResponseHeaders = { vary: 'accept-encoding' }
  if (body.length < WORTH_BYTES || !acceptsEncoding(acceptEncoding, 'gzip')) return { headers, body }
  return { headers: { ...headers, 'content-encoding': 'gzip' }, body: await compressGzip(body) }
}

/** Each encoding is made when it is first asked for. */
function createEncodings(body: Buffer) {
  const made = new Map<string, Promise<Buffer>>()
  const makers: Record<string, () => Promise<Buffer>> = {
    br: () => compressBrotli(body, BROTLI),
    gzip: () => compressGzip(body, { level: constants.Z_BEST_COMPRESSION }),
  }
  return function encode(acceptEncoding: string): { encoding: string; bytes: Promise<Buffer> } | undefined {
    const encoding = Object.keys(makers).find((name) => acceptsEncoding(acceptEncoding, name))
    const make = encoding && body.length >= WORTH_BYTES ? makers[encoding] : undefined
    if (!encoding || !make) return undefined
    const bytes = made.get(encoding) ?? make()
    made.set(encoding, bytes)
    return { encoding, bytes }
  }
}

export function assetRoute(path: string, { type, body, forever = false }: Asset): Route {
  const etag = `"${sha256(body).slice(0, 27)}"`
  const encode = createEncodings(body)
  const headers: ResponseHeaders = {
    'content-type': type,
    etag,
    vary: 'accept-encoding',
    // Kept, and asked about each time: a new version of the agent is a new page at once.
    'cache-control': forever ? 'public, max-age=31536000, immutable' : 'no-cache',
  }
  return {
    path,
    async GET({ request }: RequestContext): Promise<Reply> {
      const known = request.ifNoneMatch.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)
      if (known) return { status: 304, headers, body: '' }
      const encoded = encode(request.acceptEncoding)
      if (!encoded) return { status: 200, headers, body }
      const { encoding, bytes } = encoded
      return { status: 200, headers: { ...headers, 'content-encoding': encoding }, body: await bytes }
    },
  }
}
