import { type DatabasePool, sql } from 'slonik'
import { z } from 'zod'
import { LogLine, Operation } from '../domain/operation.ts'
import { translated } from './error.ts'
import { oneRow, type Pool, row, rows } from './pool.ts'

export type Origin = 'web' | 'api'
type Transaction = Pick<DatabasePool, 'any' | 'query'>
const nothing = z.object({}).passthrough()

/** Runs a verb for somebody at the page or the API, with the rights of an operator and nothing more. */
export function asOperator(
  pool: Pool,
  origin: Origin,
  verb: ReturnType<typeof sql.fragment>,
): Promise<Operation> {
  return translated(() =>
    pool.transaction(async (db: Transaction) => {
      await db.query(sql.type(nothing)`set local role bloud_operator`)
      await db.query(sql.type(nothing)`select set_config('bloud.origin', ${origin}, true)`)
      return oneRow(db, Operation, sql.fragment`select to_jsonb(o) as row from ${verb} o`)
    }),
  )
}

/** `bloud.install`. @throws Problem with the refusal. */
export function install(pool: Pool, origin: Origin, app: string, options: object): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.install(${app}, ${JSON.stringify(options)}::jsonb)`)
}

/** `bloud.uninstall`. @throws Problem with the refusal. */
export function uninstall(pool: Pool, origin: Origin, app: string, purge: boolean): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.uninstall(${app}, ${purge})`)
}

/** `bloud.retry`. @throws Problem with the refusal. */
export function retry(pool: Pool, origin: Origin, app: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.retry(${app})`)
}

/** `bloud.cancel`. @throws Problem with the refusal. */
export function cancel(pool: Pool, origin: Origin, app: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.cancel(${app})`)
}

/** `bloud.rename`. @throws Problem with the refusal. */
export function rename(pool: Pool, origin: Origin, app: string, displayName: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.rename(${app}, ${displayName})`)
}

/** The newest operations, newest first, at most `limit`; only of `app` if given. */
export function listOperations(pool: Pool, limit: number, app?: string): Promise<readonly Operation[]> {
  return rows(
    pool,
    Operation,
    sql.fragment`select to_jsonb(o) as row from bloud.operations o
      where ${app ?? null}::text is null or o.app = ${app ?? null} order by o.id desc limit ${limit}`,
  )
}

/** One operation, or undefined. */
export function findOperation(pool: Pool, id: number): Promise<Operation | undefined> {
  return row(
    pool,
    Operation,
    sql.fragment`select to_jsonb(o) as row from bloud.operations o where o.id = ${id}`,
  )
}

/** `bloud.operation_log`: at most `limit` lines after line `after`. */
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
