/** Opens a connection pool on first use, for a process that may start before the database. */
import { translate } from './error.ts'
import { openPool, type Pool } from './pool.ts'

export interface LazyPool {
  /**
   * Returns the pool. The first successful call opens the pool.
   * @throws Problem database_unavailable if the database cannot be reached.
   */
  open(): Promise<Pool>
  end(): Promise<void>
}

/**
 * Returns an object that opens the pool on first use. After a failure, the next call opens a new pool,
 * because slonik reads the data types of the server only once per pool.
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
