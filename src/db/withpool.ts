/** Gives functions of this folder their pool. */
import type { LazyPool } from './lazypool.ts'
import type { Pool } from './pool.ts'

type PoolFunction = (pool: Pool, ...args: never[]) => Promise<unknown>

/** The same functions without their first argument. */
type WithPool<T extends Record<string, PoolFunction>> = {
  [Name in keyof T]: T[Name] extends (pool: Pool, ...args: infer Args) => infer Result
    ? (...args: Args) => Result
    : never
}

/**
 * Returns the given functions bound to the pool, which the first call opens.
 * @throws Problem database_unavailable, from each function, while the database does not answer.
 */
export function withPool<T extends Record<string, PoolFunction>>(pool: LazyPool, functions: T): WithPool<T> {
  const bind =
    (call: PoolFunction) =>
    async (...args: never[]) =>
      call(await pool.open(), ...args)
  const bound = Object.entries(functions).map(([name, call]) => [name, bind(call)])
  return Object.fromEntries(bound) as WithPool<T>
}
