/** Opens a connection pool on first use, so that a process can start before the database is available. */
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
 * Returns an object that opens the pool on first use. slonik connects to the database when it creates a pool,
 * so the creation can fail. The next call of `open` then tries again.
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
