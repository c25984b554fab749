import { sql } from 'slonik'
import { type Operation, type Origin, RollbackPlan } from '../domain/operation.ts'
import { asOperator } from './operation.ts'
import { oneRow, type Pool, rows } from './pool.ts'
import { ConfiguredApp } from './rebuild.ts'

const fragment = sql.fragment

/**
 * Returns what a rollback to the previous generation (complete configuration of the machine) would change.
 */
export function planRollback(pool: Pool): Promise<RollbackPlan> {
  return oneRow(pool, RollbackPlan, fragment`select bloud.plan_rollback() as row`)
}

/**
 * Requests a rollback to the previous generation (complete configuration of the machine). Returns the new
 * operation.
 * @throws Problem if the database refuses the request.
 */
export function rollback(pool: Pool, origin: Origin): Promise<Operation> {
  return asOperator(pool, origin, fragment`bloud.rollback()`)
}

/**
 * Returns the apps of the generation (complete configuration of the machine) that the rollback activates
 * again, with their configurations in that generation.
 */
export function rollbackApps(pool: Pool, rebuild: number): Promise<readonly ConfiguredApp[]> {
  return rows(
    pool,
    ConfiguredApp,
    fragment`select jsonb_build_object('name', c.name, 'entry', c.entry) || d.value as row
      from bloud.rebuilds r cross join jsonb_each(r.desired) d join bloud.catalog_cache c on c.name = d.key
      where r.id = ${rebuild} order by c.name`,
  )
}
