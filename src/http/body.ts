/** Reads and parses the bodies of HTTP requests. A body is a small JSON object or empty. */
import type { HttpResponse } from 'uWebSockets.js'
import { type ZodTypeAny, z } from 'zod'
import { Problem } from '../domain/problem.ts'
import { whyNotStorable } from '../domain/text.ts'
import type { HttpRequest } from './request.ts'

const BODY_LIMIT_BYTES = 64 * 1024
/** Time limit for receiving the whole body of a request, in milliseconds. */
const TIME_LIMIT_MS = 15_000
/** Upper limit of the depth of nested objects and arrays. The documented bodies have at most three. */
const DEPTH_LIMIT = 20

const tooLarge = () =>
  new Problem('body_too_large', `The body is larger than ${BODY_LIMIT_BYTES} bytes`, {
    hint: 'Send only the documented keys: they need a few hundred bytes.',
  })

const tooSlow = () =>
  new Problem('invalid_request', `The body did not arrive within ${TIME_LIMIT_MS / 1000} s`, {
    hint: 'Send the whole body at once.',
  })

/**
 * Reads the whole body of a request. Rejects as soon as the body is too large. Must be called before the
 * request callback of uWebSockets.js returns, because the body can arrive directly afterwards.
 */
export function readBody(res: HttpResponse, request: HttpRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => refuse(tooSlow()), TIME_LIMIT_MS)
    const refuse = (problem: Problem) => {
      clearTimeout(timer)
      chunks.length = 0
      reject(problem)
    }
    if (Number(request.contentLength) > BODY_LIMIT_BYTES) refuse(tooLarge())
    res.onData((chunk, isLast) => {
      size += chunk.byteLength
      if (size > BODY_LIMIT_BYTES) {
        refuse(tooLarge())
        return
      }
      // The bytes are copied, because uWebSockets.js frees their memory when this callback returns.
      chunks.push(Buffer.from(Buffer.from(chunk)))
      if (!isLast) return
      clearTimeout(timer)
      resolve(Buffer.concat(chunks))
    })
  })
}

const tooDeep = () =>
  new Problem('invalid_request', `The body is nested too deeply: more than ${DEPTH_LIMIT} levels`, {
    hint: 'Send only the documented keys: they need three levels.',
  })

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new Problem('invalid_json', `The body is not valid JSON: ${(error as Error).message}`)
  }
}

/**
 * Checks all texts and keys of a parsed JSON value.
 * @throws Problem invalid_request if PostgreSQL can't store one, or if the value is nested too deeply.
 */
function checkTexts(value: unknown, depth = 1): void {
  if (typeof value === 'string') {
    const reason = whyNotStorable(value)
    if (reason) throw new Problem('invalid_request', `The body ${reason}`, { hint: 'Leave it out.' })
  } else if (typeof value === 'object' && value !== null) {
    if (depth > DEPTH_LIMIT) throw tooDeep()
    for (const [key, inner] of Object.entries(value)) {
      checkTexts(key)
      checkTexts(inner, depth + 1)
    }
  }
}

function describeIssue(issue: z.ZodIssue): string {
  if (issue.code === z.ZodIssueCode.unrecognized_keys) {
    return `unknown keys: ${issue.keys.map((key) => JSON.stringify(key.slice(0, 60))).join(', ')}`
  }
  return `${issue.path.join('.').slice(0, 100) || 'the body'}: ${issue.message}`
}

/**
 * Parses a JSON body and validates the value with `schema`. An empty body counts as `{}`.
 * @throws Problem unsupported_media_type, invalid_json or invalid_request.
 */
export function parseBody<T extends ZodTypeAny>(schema: T, bytes: Buffer, contentType: string): z.output<T> {
  if (bytes.length === 0) return schema.parse({})
  if (!/^application\/json\s*(;|$)/i.test(contentType)) {
    throw new Problem('unsupported_media_type', 'The body must be JSON', {
      hint: 'Send the header content-type: application/json.',
    })
  }
  const value = parseJson(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Problem('invalid_request', 'The body must be a JSON object')
  }
  checkTexts(value)
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Problem(
    'invalid_request',
    `The body is invalid: ${parsed.error.issues.map(describeIssue).join('; ')}`,
  )
}
