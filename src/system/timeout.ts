/** Waiting with a limit. Nothing in the agent waits for ever. */
import { setTimeout as sleep } from 'node:timers/promises'

/** How often a condition is looked at that nothing can tell us about: 20 looks a second cost nothing. */
const LOOK_EVERY_MS = 50

/**
 * Looks until `look` gives something other than undefined.
 * @returns what it gave, or undefined when the limit has passed.
 */
export async function lookUntil<T>(
  look: () => Promise<T | undefined>,
  limitMs: number,
): Promise<T | undefined> {
  const end = Date.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== undefined || Date.now() >= end) return found
    await sleep(LOOK_EVERY_MS)
  }
}

/** The promise's value, or `undefined` when it takes longer than the limit. The timer keeps nothing alive. */
export async function within<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, limitMs, undefined)
  })
  try {
    return await Promise.race([promise, limit])
  } finally {
    clearTimeout(timer)
  }
}

/** Looks until there is something, or the limit is over: then null. */
export async function waitFor<T>(
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  limitMs: number,
): Promise<T | null> {
  const end = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found) return found
    const left = end - performance.now()
    if (left <= 0) return null
    await sleep(Math.min(LOOK_EVERY_MS, left))
  }
}
