/** A pool for a program that starts before its database does. */
import { translate } from './error.ts'
import { openPool, type Pool } from './pool.ts'

export interface LazyPool {
  /** The pool, opened by the first call that finds the database. @throws Problem database_unavailable until then. */
  open(): Promise<Pool>
  end(): Promise<void>
}

/** slonik asks the server for its types before it hands out a pool, and does not ask again when that failed. */
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
