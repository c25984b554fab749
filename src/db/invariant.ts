import { sql } from 'slonik'
import { z } from 'zod'
import { oneRow, type Pool, rows } from './pool.ts'

const fragment = sql.fragment

const Violation = z.object({
  invariant: z.string(),
  app: z.string().nullable(),
  detail: z.string().nullable(),
})
export type Violation = z.infer<typeof Violation>

const LastCheck = z.object({
  /** Time of the check in s since 1970, or null before the first. */
  checked: z.number().nullable(),
  /** Seconds since all events were checked, or null before the first time. */
  wholeAge: z.number().nullable(),
  checkedTo: z.number().int(),
  violations: z.array(Violation),
  /** Number of the newest event. */
  head: z.number().int(),
})
export type LastCheck = z.infer<typeof LastCheck>

/** Returns the result of the last check of the invariants (consistency rules of the tables). */
export function lastCheck(pool: Pool): Promise<LastCheck> {
  return oneRow(
    pool,
    LastCheck,
    fragment`select jsonb_build_object('checked', extract(epoch from c.checked_at),
      'wholeAge', extract(epoch from bloud.clock() - c.whole_at), 'checkedTo', c.checked_to,
      'violations', c.violations, 'head', (select h.seq from bloud.stream_head() h)) as row
      from bloud.invariant_check c`,
  )
}

/** Returns the violations by the tables as they are now. */
export function checkState(pool: Pool): Promise<readonly Violation[]> {
  return rows(pool, Violation, fragment`select to_jsonb(i) as row from bloud.check_state() i`)
}

/** Returns the number of the last of the `limit` events after `after`, or null without an event. */
export function endOfRange(pool: Pool, after: number, limit: number): Promise<number | null> {
  return oneRow(
    pool,
    z.number().int().nullable(),
    fragment`select to_jsonb(max(e.seq)) as row from (
      select n.seq from bloud.events n where n.seq > ${after} order by n.seq limit ${limit}) e`,
  )
}

/** Returns the violations by the events with numbers above `after`, up to `to`. */
export function checkEvents(pool: Pool, after: number, to: number): Promise<readonly Violation[]> {
  return rows(pool, Violation, fragment`select to_jsonb(i) as row from bloud.check_events(${after}, ${to}) i`)
}

/** Stores the result of a check. `whole` is true if it has checked all events. */
export async function recordCheck(
  pool: Pool,
  attempt: number,
  checkedTo: number,
  violations: readonly Violation[],
  whole: boolean,
): Promise<void> {
  const list = JSON.stringify(violations)
  await rows(
    pool,
    z.unknown(),
    fragment`select null as row from bloud.record_check(${attempt}, ${checkedTo}, ${list}::jsonb, ${whole})`,
  )
}
