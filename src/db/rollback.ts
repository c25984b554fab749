import { sql } from 'slonik'
import { type Operation, RollbackPlan } from '../domain/operation.ts'
import { asOperator, type Origin } from './operation.ts'
import { oneRow, type Pool, rows } from './pool.ts'
import { ConfiguredApp } from './rebuild.ts'

const fragment = sql.fragment

/** `bloud.plan_rollback`. */
export function planRollback(pool: Pool): Promise<RollbackPlan> {
  return oneRow(pool, RollbackPlan, fragment`select bloud.plan_rollback() as row`)
}

/** `bloud.rollback`. @throws Problem with the refusal. */
export function rollback(pool: Pool, origin: Origin): Promise<Operation> {
  return asOperator(pool, origin, fragment`bloud.rollback()`)
}

/** The apps of the generation that a rollback goes back to, as they were configured for it. */
export function rollbackApps(pool: Pool, rebuild: number): Promise<readonly ConfiguredApp[]> {
  return rows(
    pool,
    ConfiguredApp,
    fragment`select jsonb_build_object('name', c.name, 'entry', c.entry) || d.value as row
      from bloud.rebuilds r cross join jsonb_each(r.desired) d join bloud.catalog_cache c on c.name = d.key
      where r.id = ${rebuild} order by c.name`,
  )
}
