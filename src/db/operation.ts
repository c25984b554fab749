import { type DatabasePool, sql } from 'slonik'
import { z } from 'zod'
import { LogLine, Operation, type Origin } from '../domain/operation.ts'
import { translated } from './error.ts'
import { oneRow, type Pool, row, rows } from './pool.ts'

type Transaction = Pick<DatabasePool, 'any' | 'query'>
const anyRow = z.object({}).passthrough()

/** Calls a verb for an HTTP request. The transaction has the rights of bloud_operator and no others. */
export function asOperator(
  pool: Pool,
  origin: Origin,
  verb: ReturnType<typeof sql.fragment>,
): Promise<Operation> {
  return translated(() =>
    pool.transaction(async (db: Transaction) => {
      await db.query(sql.type(anyRow)`set local role bloud_operator`)
      await db.query(sql.type(anyRow)`select set_config('bloud.origin', ${origin}, true)`)
      return oneRow(db, Operation, sql.fragment`select to_jsonb(o) as row from ${verb} o`)
    }),
  )
}

/** Calls the verb `bloud.install` and returns the operation. @throws Problem if the verb is refused. */
export function install(pool: Pool, origin: Origin, app: string, options: object): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.install(${app}, ${JSON.stringify(options)}::jsonb)`)
}

/** Calls the verb `bloud.uninstall` and returns the operation. @throws Problem if the verb is refused. */
export function uninstall(pool: Pool, origin: Origin, app: string, purge: boolean): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.uninstall(${app}, ${purge})`)
}

/** Calls the verb `bloud.retry` and returns the operation. @throws Problem if the verb is refused. */
export function retry(pool: Pool, origin: Origin, app: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.retry(${app})`)
}

/** Calls the verb `bloud.cancel` and returns the operation. @throws Problem if the verb is refused. */
export function cancel(pool: Pool, origin: Origin, app: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.cancel(${app})`)
}

/** Calls the verb `bloud.rename` and returns the operation. @throws Problem if the verb is refused. */
export function rename(pool: Pool, origin: Origin, app: string, displayName: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.rename(${app}, ${displayName})`)
}

/** Returns at most `limit` operations, newest first; only those of `app` if given. */
export function listOperations(pool: Pool, limit: number, app?: string): Promise<readonly Operation[]> {
  return rows(
    pool,
    Operation,
    sql.fragment`select to_jsonb(o) as row from bloud.operations o
      where ${app ?? null}::text is null or o.app = ${app ?? null} order by o.id desc limit ${limit}`,
  )
}

/** Returns the operation with this id, or undefined. */
export function findOperation(pool: Pool, id: number): Promise<Operation | undefined> {
  return row(
    pool,
    Operation,
    sql.fragment`select to_jsonb(o) as row from bloud.operations o where o.id = ${id}`,
  )
}

/** Calls `bloud.operation_log` and returns at most `limit` lines after line `after`. */
export function operationLog(
  pool: Pool,
  id: number,
  after: number,
  limit: number,
): Promise<readonly LogLine[]> {
  return rows(
    pool,
    LogLine,
    sql.fragment`select to_jsonb(l) as row from bloud.operation_log(${id}, ${after}, ${limit}) l`,
  )
}
