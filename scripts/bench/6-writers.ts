/**
 * Benchmark of the status transitions that PostgreSQL commits per second with the agent's triggers. Compares
 * this rate with the rate of updates without a trigger, and of updates whose trigger only calls NOTIFY.
 *
 * The updates run in a loop inside PostgreSQL, because a client program would be slower than PostgreSQL.
 */
import type pg from 'pg'
import { option } from '../option.ts'
import { settingsOf, startDatabase } from './database.ts'
import { report, spread } from './report.ts'

const [rounds, seconds] = [option('rounds', 5), option('seconds', 3)]
const SESSIONS = [1, 8, 32]
const SETUP = `
  create table public.bare (
    name text primary key,
    status text not null,
    updated_at timestamptz not null default now(),
    config jsonb not null default '{}'
  );
  create table public.notifying (like public.bare including all);
  insert into public.bare (name, status) select 'app-' || i, 'running' from generate_series(1, 32) i;
  insert into public.notifying select * from public.bare;
  create function public.notify_bare() returns trigger language plpgsql as $$
  begin
    perform pg_notify('bare', new.name || ':' || new.status);
    return null;
  end $$;
  create trigger notify after update on public.notifying
    for each row execute function public.notify_bare();
  create procedure public.loop_transitions(
    p_table text, p_app text, p_seconds integer, inout p_transitions integer)
  language plpgsql as $body$
  declare
    v_end timestamptz := clock_timestamp() + make_interval(secs => p_seconds);
  begin
    p_transitions := 0;
    while clock_timestamp() < v_end loop
      if p_table = 'bloud' then
        update bloud.apps set status = case status when 'running' then 'error' else 'running' end
        where name = p_app;
      elsif p_table = 'notifying' then
        update public.notifying
        set updated_at = clock_timestamp(),
          status = case status when 'running' then 'error' else 'running' end
        where name = p_app;
      else
        update public.bare
        set updated_at = clock_timestamp(),
          status = case status when 'running' then 'error' else 'running' end
        where name = p_app;
      end if;
      commit;
      p_transitions := p_transitions + 1;
    end loop;
  end $body$`

const database = await startDatabase()
const admin = await database.session()
await admin.query(SETUP)
await database.makeApps(admin, 32)
const listener = await database.session()
await listener.query('listen bloud; listen bare')
const clients = await Promise.all(Array.from({ length: 32 }, () => database.session()))

async function run(table: string, sessions: number): Promise<number> {
  const calls = clients
    .slice(0, sessions)
    .map((client: pg.Client, index) =>
      client.query('call public.loop_transitions($1, $2, $3, null)', [table, `app-${index + 1}`, seconds]),
    )
  const counts = (await Promise.all(calls)).map(({ rows }) => Number(rows[0].p_transitions))
  return counts.reduce((sum, count) => sum + count, 0) / seconds
}

/**
 * Returns how many of the events after event number `before` are missing, by the count of the rows or by
 * their highest event number, whichever shows more.
 */
async function lost(before: number, transitions: number): Promise<number> {
  const { rows } = await admin.query(
    'select count(*) as count, max(seq) as last from bloud.events where seq > $1',
    [before],
  )
  const [count, last] = [Number(rows[0].count), Number(rows[0].last)]
  return Math.max(Math.abs(count - transitions), Math.abs(last - before - transitions))
}

const all: Record<string, Record<string, number[]>> = {}
let missing = 0
for (let round = 0; round < rounds; round += 1) {
  for (const sessions of SESSIONS) {
    all[sessions] ??= { bloud: [], notifying: [], bare: [] }
    for (const table of ['bloud', 'notifying', 'bare']) {
      const before = Number((await admin.query('select max(seq) as seq from bloud.events')).rows[0].seq)
      const rate = await run(table, sessions)
      if (table === 'bloud') missing += await lost(before, Math.round(rate * seconds))
      all[sessions][table]?.push(rate)
    }
  }
}
const ratio = (of: number[] = [], to: number[] = []) =>
  spread(of.map((value, index) => value / (to[index] ?? Number.NaN)))
const rows = Object.entries(all).map(([sessions, { bloud, notifying, bare }]) => ({
  sessions,
  'transitions/s': spread(bloud ?? []),
  'bare update that notifies /s': spread(notifying ?? []),
  'bare update /s': spread(bare ?? []),
  'ratio to notifying': ratio(bloud, notifying),
  'ratio to bare': ratio(bloud, bare),
}))
report('writers', { rounds, seconds, lost: missing, postgres: await settingsOf(admin) }, rows, all)
for (const client of [...clients, listener, admin]) await client.end()
await database.stop()
