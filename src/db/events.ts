import { sql } from 'slonik'
import { AppEvent, Snapshot, StreamHead } from '../domain/app.ts'
import { oneRow, type Pool, rows } from './pool.ts'

/** `bloud.events_after`: at most `limit` events after `seq`, in order. */
export function eventsAfter(pool: Pool, seq: number, limit: number): Promise<readonly AppEvent[]> {
  return rows(
    pool,
    AppEvent,
    sql.fragment`select e.data || (to_jsonb(e) - 'data') as row from bloud.events_after(${seq}, ${limit}) e order by e.seq`,
  )
}

/** `bloud.stream_head`: where the stream stands. */
export function streamHead(pool: Pool): Promise<StreamHead> {
  return oneRow(pool, StreamHead, sql.fragment`select to_jsonb(h) as row from bloud.stream_head() h`)
}

/** `bloud.snapshot`: all apps and the seq they are at. */
export function snapshot(pool: Pool): Promise<Snapshot> {
  return oneRow(pool, Snapshot, sql.fragment`select bloud.snapshot() as row`)
}
