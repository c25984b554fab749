/** Waiting with a limit: every wait of the agent has one. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Interval between two checks in milliseconds: 20 checks a second cost nothing measurable. */
const POLL_INTERVAL_MS = 50

/** A promise took longer than its limit. */
export class TimeLimitError extends Error {}

/** Returns the error factory for `withTimeout`. `work` begins the message, for example "Reading the log". */
export const timeLimitError = (work: string) => (limitMs: number) =>
  new TimeLimitError(`${work} took longer than ${limitMs} ms`)

/**
 * Returns the promise's value if it settles within the limit. Else rejects with the error that `createError`
 * makes, or resolves with undefined if there is no `createError`. A rejection after the limit is ignored.
 */
export async function withTimeout<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined>
export async function withTimeout<T>(
  promise: Promise<T>,
  limitMs: number,
  createError: (limitMs: number) => Error,
): Promise<T>
export async function withTimeout<T>(
  promise: Promise<T>,
  limitMs: number,
  createError?: (limitMs: number) => Error,
): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<undefined>((resolve, reject) => {
    timer = setTimeout(() => {
      if (createError) reject(createError(limitMs))
      else resolve(undefined)
    }, limitMs)
  })
  try {
    return await Promise.race([promise, limit])
  } finally {
    clearTimeout(timer)
  }
}

type Falsy = null | undefined | false

/**
 * Calls `check` until it returns a truthy value, at least once.
 * @returns that value, or null when the limit has passed.
 */
export async function pollUntil<T>(
  check: () => Promise<T | Falsy> | T | Falsy,
  limitMs: number,
): Promise<T | null> {
  const end = performance.now() + limitMs
  for (;;) {
    const found = await check()
    if (found) return found
    const left = end - performance.now()
    if (left <= 0) return null
    await sleep(Math.min(POLL_INTERVAL_MS, left))
  }
}
