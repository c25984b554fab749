import { type DatabasePool, sql } from 'slonik'
import { z } from 'zod'
import { LogLine, Operation, type Origin } from '../domain/operation.ts'
import { translated } from './error.ts'
import { oneRow, type Pool, row, rows } from './pool.ts'

type Transaction = Pick<DatabasePool, 'any' | 'query'>
const anyRow = z.object({}).passthrough()

/**
 * Calls an SQL function that requests an operation (install, uninstall …), with the rights of the PostgreSQL
 * role `bloud_operator`. Returns the new operation.
 */
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

/**
 * Requests the installation of an app. Returns the new operation.
 * @throws Problem if the database refuses the request.
 */
export function install(pool: Pool, origin: Origin, app: string, options: object): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.install(${app}, ${JSON.stringify(options)}::jsonb)`)
}

/**
 * Requests that an app is uninstalled, and with `purge` also that the data of the app is deleted. Returns the
 * new operation.
 * @throws Problem if the database refuses the request.
 */
export function uninstall(pool: Pool, origin: Origin, app: string, purge: boolean): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.uninstall(${app}, ${purge ? app : null}::text)`)
}

/**
 * Requests that the last failed operation of an app is repeated with the same options. Returns the operation.
 * @throws Problem if the database refuses the request.
 */
export function retry(pool: Pool, origin: Origin, app: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.retry(${app})`)
}

/**
 * Requests that the current operation of an app is cancelled. Returns the operation.
 * @throws Problem if the database refuses the request.
 */
export function cancel(pool: Pool, origin: Origin, app: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.cancel(${app})`)
}

/**
 * Sets the display name of an app. Returns the operation.
 * @throws Problem if the database refuses the request.
 */
export function rename(pool: Pool, origin: Origin, app: string, displayName: string): Promise<Operation> {
  return asOperator(pool, origin, sql.fragment`bloud.rename(${app}, ${displayName})`)
}

/** Returns at most `limit` operations, newest first. With `app`, returns only operations of this app. */
export function listOperations(pool: Pool, limit: number, app?: string): Promise<readonly Operation[]> {
  return rows(
    pool,
    Operation,
    sql.fragment`select to_jsonb(o) as row from bloud.operations o
      where ${app ?? null}::text is null or o.app = ${app ?? null} order by o.id desc limit ${limit}`,
  )
}

export function findOperation(pool: Pool, id: number): Promise<Operation | undefined> {
  return row(
    pool,
    Operation,
    sql.fragment`select to_jsonb(o) as row from bloud.operations o where o.id = ${id}`,
  )
}

/**
 * Returns at most `limit` lines of the log of the rebuild (change of the machine) that executes the
 * operation. The first line is the one after the line number `after`.
 */
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
