/** Waits for promises and conditions, always with a time limit. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Intervals in ms between two checks of a condition. Each is twice as long as the one before, up to the last.
 * At this rate, the checks use no measurable CPU time.
 */
const FIRST_INTERVAL_MS = 2
const LAST_INTERVAL_MS = 50

export class TimeLimitError extends Error {}

/**
 * Returns a function that creates the error of `withTimeout`. The message begins with `work`, for example
 * "Reading the log".
 */
export const timeLimitError = (work: string) => (limitMs: number) =>
  new TimeLimitError(`${work} took longer than ${limitMs} ms`)

/**
 * Waits for a promise, at most `limitMs`, and returns the promise's value. After the limit, rejects with the
 * error from `createError`. Without `createError`, resolves with undefined after the limit.
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
 * Calls `check` repeatedly until it returns a value that is not null, undefined or false.
 * @param lastIntervalMs longest time in ms between two calls.
 * @returns the value, or null if `limitMs` has passed.
 */
export async function pollUntil<T>(
  check: () => Promise<T | Falsy> | T | Falsy,
  limitMs: number,
  lastIntervalMs = LAST_INTERVAL_MS,
): Promise<T | null> {
  const end = performance.now() + limitMs
  for (let interval = FIRST_INTERVAL_MS; ; interval = Math.min(interval * 2, lastIntervalMs)) {
    const found = await check()
    if (found) return found
    const left = end - performance.now()
    if (left <= 0) return null
    await sleep(Math.min(interval, left))
  }
}
