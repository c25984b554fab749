/** Opens a connection pool on first use, so that a process can start before the database is available. */
import { translate } from './error.ts'
import { createGate, type GateLimits } from './gate.ts'
import { openPool, type Pool } from './pool.ts'

export interface LazyPool {
  /**
   * Returns the pool. The first successful call opens the pool.
   * @throws Problem database_unavailable if the database cannot be reached.
   */
  open(): Promise<Pool>
  /**
   * Calls `work` with the pool, when fewer calls than the gate of the pool allows are running.
   * @throws Problem database_unavailable or too_many_requests
   */
  use<T>(work: (pool: Pool) => Promise<T>): Promise<T>
  end(): Promise<void>
}

export interface LazyPoolOptions {
  /** Time in milliseconds without an answer after which a connection is closed. */
  answerLimitMs?: number
  /** Limits of the calls of `use` that wait for a connection. Without limits, all calls wait. */
  queue?: Omit<GateLimits, 'running'>
}

/**
 * Returns an object that opens the pool on first use. slonik connects to the database when it creates a pool,
 * so the creation can fail. The next call of `open` then tries again.
 */
export function createLazyPool(
  url: string,
  name: string,
  size: number,
  { answerLimitMs, queue }: LazyPoolOptions = {},
): LazyPool {
  const gate = queue && createGate({ ...queue, running: size })
  let opening: Promise<Pool> | undefined

  async function tryOpen(): Promise<Pool> {
    try {
      return await openPool(url, name, size, answerLimitMs)
    } catch (error) {
      opening = undefined
      throw translate(error)
    }
  }

  function open(): Promise<Pool> {
    opening ??= tryOpen()
    return opening
  }

  return {
    open,
    use(work) {
      const run = async () => work(await open())
      return gate ? gate.run(run) : run()
    },
    async end() {
      const pool = await opening?.catch(() => undefined)
      await pool?.end()
    },
  }
}
