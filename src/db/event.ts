import { sql } from 'slonik'
import { Snapshot, StreamHead, StreamRow } from '../domain/app.ts'
import { oneRow, type Pool, rows } from './pool.ts'

/** Returns at most `limit` events with a number (seq) above `seq`, sorted by their numbers. */
export function streamAfter(pool: Pool, seq: number, limit: number): Promise<readonly StreamRow[]> {
  return rows(
    pool,
    StreamRow,
    sql.fragment`select jsonb_build_object(
        'epoch', s.epoch, 'seq', s.seq, 'pruned_to', (select h.pruned_to from bloud.stream h),
        'app', s.app, 'json', s.event::text) as row
      from bloud.stream_after(${seq}, ${limit}) s order by s.seq`,
  )
}

/** Newest event that a reader has read, with the epoch (id of the event history) in which it was read. */
export interface KnownEvent {
  epoch: string
  seq: number
  /** Time of the event as text, with microseconds. */
  at: string
}

/**
 * Returns the epoch (id of the event history), the number of the newest event, and the number of the newest
 * event that was deleted because of its age. Before, the database begins a new epoch if `known` is not in its
 * history any more, or if the server was promoted.
 */
export function checkHistory(pool: Pool, known: KnownEvent | undefined): Promise<StreamHead> {
  const { epoch = null, seq = null, at = null } = known ?? {}
  const call = sql.fragment`bloud.check_history(${epoch}, ${seq}, ${at}::timestamptz)`
  return oneRow(pool, StreamHead, sql.fragment`select to_jsonb(h) as row from ${call} h`)
}

/** Returns the statuses of all apps, and the number (seq) of the newest event that the statuses include. */
export function snapshot(pool: Pool): Promise<Snapshot> {
  return oneRow(pool, Snapshot, sql.fragment`select bloud.snapshot() as row`)
}
