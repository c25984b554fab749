import { sql } from 'slonik'
import { z } from 'zod'
import { CatalogEntry, type Cause } from '../domain/app.ts'
import type { Operation, Origin } from '../domain/operation.ts'
import { asOperator } from './operation.ts'
import { oneRow, type Pool, row, rows } from './pool.ts'

const fragment = sql.fragment

/** Returns all rows of the view `bloud.catalog`. */
export function catalog(pool: Pool): Promise<readonly CatalogEntry[]> {
  return rows(pool, CatalogEntry, fragment`select to_jsonb(c) as row from bloud.catalog c`)
}

/** Returns the row of `bloud.catalog` with this name, or undefined. */
export function catalogEntry(pool: Pool, name: string): Promise<CatalogEntry | undefined> {
  return row(
    pool,
    CatalogEntry,
    fragment`select to_jsonb(c) as row from bloud.catalog c where c.name = ${name}`,
  )
}

const Plan = z.record(z.unknown())

/** Calls `bloud.plan_install` and returns the plan. @throws Problem if the name is invalid. */
export function planInstall(
  pool: Pool,
  name: string,
  options: object = {},
): Promise<Record<string, unknown>> {
  const given = JSON.stringify(options)
  return oneRow(pool, Plan, fragment`select bloud.plan_install(${name}, ${given}::jsonb) as row`)
}

/** Calls `bloud.plan_uninstall` and returns the plan. @throws Problem if the name is invalid. */
export function planUninstall(pool: Pool, name: string): Promise<Record<string, unknown>> {
  return oneRow(pool, Plan, fragment`select bloud.plan_uninstall(${name}) as row`)
}

/** Calls the verb `bloud.refresh_catalog` and returns the new operation. */
export function refreshCatalog(pool: Pool, origin: Origin): Promise<Operation> {
  return asOperator(pool, origin, fragment`bloud.refresh_catalog()`)
}

/** Returns true if an operation to refresh the catalog is queued. */
export function isCatalogRefreshQueued(pool: Pool): Promise<boolean> {
  return oneRow(
    pool,
    z.boolean(),
    fragment`select to_jsonb(exists (select from bloud.operations o
      where o.kind = 'refresh_catalog' and o.state = 'queued')) as row`,
  )
}

/** Calls `bloud.sync_catalog` and returns the number of entries that are new or changed. */
export function syncCatalog(
  pool: Pool,
  attempt: number,
  entries: unknown[],
  problems: unknown[],
): Promise<number> {
  const [given, bad] = [JSON.stringify(entries), JSON.stringify(problems)]
  return oneRow(
    pool,
    z.number().int(),
    fragment`select to_jsonb(bloud.sync_catalog(${attempt}, ${given}::jsonb, ${bad}::jsonb)) as row`,
  )
}

/** Calls `bloud.fail_refresh`, because the catalog files cannot be read. */
export async function failRefresh(pool: Pool, attempt: number, cause: Cause): Promise<void> {
  const json = JSON.stringify(cause)
  await rows(
    pool,
    z.unknown(),
    fragment`select null as row from bloud.fail_refresh(${attempt}, ${json}::jsonb)`,
  )
}
