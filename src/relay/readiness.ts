/** Checks again and again whether the database is ready, so that clients are informed without a request. */
import type { DatabaseReadiness } from '../domain/readiness.ts'

export const READINESS_LIMITS = {
  /** Interval in milliseconds of the checks. Each check opens a connection, which takes about 5 ms. */
  readinessTickMs: 5_000,
  /**
   * Age in milliseconds up to which a result is used again, so that frequent requests of `/readyz` do not
   * open a connection each.
   */
  readinessAgeMs: 500,
}

export type Readiness = ReturnType<typeof createReadiness>

/**
 * @param read opens a new connection and returns what it finds. It must not throw.
 * @param isWatched returns false if no client is connected; then only requests cause a check
 * @param onResult called after each check.
 */
export function createReadiness(
  read: () => Promise<DatabaseReadiness>,
  isWatched: () => boolean,
  onResult: (result: DatabaseReadiness) => void,
  limits = READINESS_LIMITS,
) {
  let last: { at: number; result: DatabaseReadiness } | undefined
  let timer: NodeJS.Timeout | undefined
  let running: Promise<DatabaseReadiness> | undefined
  let stopped = true

  async function check(): Promise<DatabaseReadiness> {
    try {
      const result = await read()
      last = { at: performance.now(), result }
      if (!stopped) onResult(result)
      return result
    } finally {
      running = undefined
    }
  }

  function current(): Promise<DatabaseReadiness> {
    if (last && performance.now() - last.at < limits.readinessAgeMs) return Promise.resolve(last.result)
    running ??= check()
    return running
  }

  async function tick(): Promise<void> {
    if (isWatched()) await current().catch(() => undefined)
    if (!stopped) timer = setTimeout(tick, limits.readinessTickMs)
  }

  return {
    start(): void {
      if (!stopped) return
      stopped = false
      void tick()
    },
    stop(): void {
      stopped = true
      clearTimeout(timer)
    },
    /** Returns a result that is at most `readinessAgeMs` old. Callers at the same time share one check. */
    current,
  }
}
