import { sql } from 'slonik'
import { Snapshot, StreamHead, StreamRow } from '../domain/app.ts'
import { oneRow, type Pool, rows } from './pool.ts'

/** Calls `bloud.stream_after` and returns at most `limit` events after `seq`, in order. */
export function streamAfter(pool: Pool, seq: number, limit: number): Promise<readonly StreamRow[]> {
  return rows(
    pool,
    StreamRow,
    sql.fragment`select jsonb_build_object(
        'epoch', s.epoch, 'seq', s.seq, 'app', s.app, 'json', s.event::text) as row
      from bloud.stream_after(${seq}, ${limit}) s order by s.seq`,
  )
}

/**
 * Calls `bloud.stream_head` and returns the epoch, the newest seq and the seq up to which events are pruned.
 */
export function streamHead(pool: Pool): Promise<StreamHead> {
  return oneRow(pool, StreamHead, sql.fragment`select to_jsonb(h) as row from bloud.stream_head() h`)
}

/** Calls `bloud.snapshot` and returns all apps with the seq of the newest event they include. */
export function snapshot(pool: Pool): Promise<Snapshot> {
  return oneRow(pool, Snapshot, sql.fragment`select bloud.snapshot() as row`)
}
