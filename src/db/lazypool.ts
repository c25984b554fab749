/** Creates a pool on first use, for a process that may start before the database. */
import { translate } from './error.ts'
import { openPool, type Pool } from './pool.ts'

export interface LazyPool {
  /**
   * Returns the pool. The first call that reaches the database opens the pool.
   * @throws Problem database_unavailable if the database cannot be reached.
   */
  open(): Promise<Pool>
  end(): Promise<void>
}

/**
 * Returns an object that creates the pool on first use. slonik reads the types of the server only while a
 * pool is created. So a pool whose creation failed is discarded, and the next call creates a new pool.
 */
export function createLazyPool(url: string, name: string, size: number, answerLimitMs?: number): LazyPool {
  let opening: Promise<Pool> | undefined

  async function tryOpen(): Promise<Pool> {
    try {
      return await openPool(url, name, size, answerLimitMs)
    } catch (error) {
      opening = undefined
      throw translate(error)
    }
  }

  return {
    open() {
      opening ??= tryOpen()
      return opening
    },
    async end() {
      const pool = await opening?.catch(() => undefined)
      await pool?.end()
    },
  }
}
