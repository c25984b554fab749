/** Request bodies: small JSON objects with known keys, or nothing. */
import type { HttpResponse } from 'uWebSockets.js'
import { type ZodTypeAny, z } from 'zod'
import { Problem } from '../domain/problem.ts'
import type { HttpRequest } from './request.ts'

const BODY_LIMIT_BYTES = 64 * 1024
/** How long a body may take to arrive. */
const TIME_LIMIT_MS = 15_000

const tooLarge = () =>
  new Problem('body_too_large', `The body is larger than ${BODY_LIMIT_BYTES} bytes`, {
    hint: 'What a request needs to say fits into a few hundred.',
  })

const tooSlow = () =>
  new Problem('invalid_request', `The body did not arrive within ${TIME_LIMIT_MS / 1000} s`)

/**
 * Collects the body. To be called before the handler returns: uWebSockets.js hands it out from then on.
 * Rejects as soon as it is known to be too large; whatever still comes is thrown away.
 */
export function readBody(res: HttpResponse, request: HttpRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let size = 0
    const limit = setTimeout(() => refuse(tooSlow()), TIME_LIMIT_MS)
    const refuse = (problem: Problem) => {
      clearTimeout(limit)
      pieces.length = 0
      reject(problem)
    }
    if (Number(request.contentLength) > BODY_LIMIT_BYTES) refuse(tooLarge())
    res.onData((piece, isLast) => {
      size += piece.byteLength
      if (size > BODY_LIMIT_BYTES) {
        refuse(tooLarge())
        return
      }
      // Copied: the memory is taken back when this returns.
      pieces.push(Buffer.from(Buffer.from(piece)))
      if (!isLast) return
      clearTimeout(limit)
      resolve(Buffer.concat(pieces))
    })
  })
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new Problem('invalid_json', `The body is not JSON: ${(error as Error).message}`)
  }
}

function sentence(issue: z.ZodIssue): string {
  if (issue.code === z.ZodIssueCode.unrecognized_keys) {
    return `unknown: ${issue.keys.map((key) => JSON.stringify(key.slice(0, 60))).join(', ')}`
  }
  return `${issue.path.join('.').slice(0, 100) || 'the body'}: ${issue.message}`
}

/**
 * The body as `schema` says; no body counts as `{}`.
 * @throws Problem unsupported_media_type, invalid_json or invalid_request.
 */
export function parseBody<T extends ZodTypeAny>(schema: T, bytes: Buffer, contentType: string): z.output<T> {
  if (bytes.length === 0) return schema.parse({})
  if (!/^application\/json\s*(;|$)/i.test(contentType)) {
    throw new Problem('unsupported_media_type', 'A body must be JSON', {
      hint: 'Send the header content-type: application/json.',
    })
  }
  const value = parseJson(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Problem('invalid_request', 'The body must be a JSON object')
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Problem(
    'invalid_request',
    `The body can't be used: ${parsed.error.issues.map(sentence).join('; ')}`,
  )
}
