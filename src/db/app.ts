import { sql } from 'slonik'
import { App, AppStatus, HistoryRow } from '../domain/app.ts'
import { type Pool, row, rows } from './pool.ts'

/** Returns all apps of the table `bloud.apps`, sorted by name. */
export function installedApps(pool: Pool): Promise<readonly App[]> {
  return rows(pool, App, sql.fragment`select to_jsonb(a) as row from bloud.apps a order by a.name`)
}

/**
 * Returns the app with its status and the actions that are allowed now. Returns undefined if the app is
 * unknown.
 */
export function appStatus(pool: Pool, name: string): Promise<AppStatus | undefined> {
  return row(
    pool,
    AppStatus,
    sql.fragment`select to_jsonb(a) as row from bloud.app_status a where a.name = ${name}`,
  )
}

/** Returns the last `limit` status changes of an app, newest first. */
export function history(pool: Pool, name: string, limit: number): Promise<readonly HistoryRow[]> {
  return rows(
    pool,
    HistoryRow,
    sql.fragment`select to_jsonb(h)
        || jsonb_build_object('duration_seconds', extract(epoch from h.duration)) as row
      from bloud.history h where h.app = ${name} order by h.seq desc limit ${limit}`,
  )
}
