/** A pool for a process that may start before its database does. */
import { translate } from './error.ts'
import { openPool, type Pool } from './pool.ts'

export interface LazyPool {
  /**
   * Returns the pool, which is opened by the first call that reaches the database.
   * @throws Problem database_unavailable until then.
   */
  open(): Promise<Pool>
  end(): Promise<void>
}

/**
 * Creates the pool on first use. slonik queries the types of the server when it creates a pool and never
 * repeats that query, so a pool whose creation failed is discarded and created again.
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
