import { sql } from 'slonik'
import { z } from 'zod'
import { CatalogEntry, type Cause } from '../domain/app.ts'
import type { Operation, Origin } from '../domain/operation.ts'
import { asOperator } from './operation.ts'
import { oneRow, type Pool, row, rows } from './pool.ts'

const fragment = sql.fragment

/** Returns all apps of the catalog, also apps that this machine can't run. */
export function catalog(pool: Pool): Promise<readonly CatalogEntry[]> {
  return rows(pool, CatalogEntry, fragment`select to_jsonb(c) as row from bloud.catalog c`)
}

export function catalogEntry(pool: Pool, name: string): Promise<CatalogEntry | undefined> {
  return row(
    pool,
    CatalogEntry,
    fragment`select to_jsonb(c) as row from bloud.catalog c where c.name = ${name}`,
  )
}

const Plan = z.record(z.unknown())

/**
 * Returns what an install of the app would change. Changes nothing.
 * @throws Problem if the name of the app is invalid.
 */
export function planInstall(
  pool: Pool,
  name: string,
  options: object = {},
): Promise<Record<string, unknown>> {
  const given = JSON.stringify(options)
  return oneRow(pool, Plan, fragment`select bloud.plan_install(${name}, ${given}::jsonb) as row`)
}

/**
 * Returns what an uninstall of the app would change. Changes nothing.
 * @throws Problem if the name of the app is invalid.
 */
export function planUninstall(pool: Pool, name: string): Promise<Record<string, unknown>> {
  return oneRow(pool, Plan, fragment`select bloud.plan_uninstall(${name}) as row`)
}

/**
 * Requests that the orchestrator (worker that executes operations) reads the catalog files again. Returns the
 * new operation.
 */
export function refreshCatalog(pool: Pool, origin: Origin): Promise<Operation> {
  return asOperator(pool, origin, fragment`bloud.refresh_catalog()`)
}

export function isCatalogRefreshQueued(pool: Pool): Promise<boolean> {
  return oneRow(
    pool,
    z.boolean(),
    fragment`select to_jsonb(exists (select from bloud.operations o
      where o.kind = 'refresh_catalog' and o.state = 'queued')) as row`,
  )
}

/** Writes the entries of the catalog files to the database. Returns the number of new or changed entries. */
export function syncCatalog(
  db: Pick<Pool, 'any'>,
  attempt: number,
  entries: unknown[],
  problems: unknown[],
): Promise<number> {
  const [given, bad] = [JSON.stringify(entries), JSON.stringify(problems)]
  return oneRow(
    db,
    z.number().int(),
    fragment`select to_jsonb(bloud.sync_catalog(${attempt}, ${given}::jsonb, ${bad}::jsonb)) as row`,
  )
}

/**
 * Checks that the database can store an entry of the catalog. Changes nothing.
 * @throws Error if the database refuses the entry.
 */
export async function checkEntry(pool: Pool, attempt: number, entry: unknown): Promise<void> {
  const rollback = new Error('rolled back')
  try {
    await pool.transaction(async (db) => {
      await syncCatalog(db, attempt, [entry], [])
      throw rollback
    })
  } catch (error) {
    if (error !== rollback) throw error
  }
}

/** Marks the queued catalog refresh as failed, because the catalog files cannot be read. */
export async function failRefresh(pool: Pool, attempt: number, cause: Cause): Promise<void> {
  const json = JSON.stringify(cause)
  await rows(
    pool,
    z.unknown(),
    fragment`select null as row from bloud.fail_refresh(${attempt}, ${json}::jsonb)`,
  )
}
