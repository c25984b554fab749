/** Binds database functions to a pool, so that callers do not pass the pool as an argument. */
import type { LazyPool } from './lazypool.ts'
import type { Pool } from './pool.ts'

type PoolFunction = (pool: Pool, ...args: never[]) => Promise<unknown>

type WithPool<T extends Record<string, PoolFunction>> = {
  [Name in keyof T]: T[Name] extends (pool: Pool, ...args: infer Args) => infer Result
    ? (...args: Args) => Result
    : never
}

/**
 * Returns the functions bound to the pool. The first call of any function opens the pool.
 * @throws Problem database_unavailable, from every function, while the database cannot be reached, and
 * too_many_requests if too many calls wait.
 */
export function withPool<T extends Record<string, PoolFunction>>(pool: LazyPool, functions: T): WithPool<T> {
  const bind =
    (call: PoolFunction) =>
    (...args: never[]) =>
      pool.use((opened) => call(opened, ...args))
  const bound = Object.entries(functions).map(([name, call]) => [name, bind(call)])
  return Object.fromEntries(bound) as WithPool<T>
}
