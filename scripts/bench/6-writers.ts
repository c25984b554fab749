/**
 * Status moves per second through the guard and the history, against a bare update whose row trigger notifies, and a
 * bare update. Each session loops inside the server, one commit for each move, so that no client is the limit.
 */
import type pg from 'pg'
import { settingsOf, startDatabase } from './database.ts'
import { option, report, spread } from './kit.ts'

const [rounds, seconds] = [option('rounds', 5), option('seconds', 3)]
const SESSIONS = [1, 8, 32]
const SETUP = `
  create table public.bare (name text primary key, status text not null, updated_at timestamptz not null default now(), config jsonb not null default '{}');
  create table public.belled (like public.bare including all);
  insert into public.bare (name, status) select 'app-' || i, 'running' from generate_series(1, 32) i;
  insert into public.belled select * from public.bare;
  create function public.ring_bare() returns trigger language plpgsql as $$
  begin
    perform pg_notify('bare', new.name || ':' || new.status);
    return null;
  end $$;
  create trigger ring after update on public.belled for each row execute function public.ring_bare();
  create procedure public.loop_moves(p_table text, p_app text, p_seconds integer, inout p_moves integer)
  language plpgsql as $body$
  declare
    v_end timestamptz := clock_timestamp() + make_interval(secs => p_seconds);
  begin
    p_moves := 0;
    while clock_timestamp() < v_end loop
      if p_table = 'bloud' then
        update bloud.apps set status = case status when 'running' then 'error' else 'running' end where name = p_app;
      elsif p_table = 'belled' then
        update public.belled set status = case status when 'running' then 'error' else 'running' end, updated_at = clock_timestamp() where name = p_app;
      else
        update public.bare set status = case status when 'running' then 'error' else 'running' end, updated_at = clock_timestamp() where name = p_app;
      end if;
      commit;
      p_moves := p_moves + 1;
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
      client.query('call public.loop_moves($1, $2, $3, null)', [table, `app-${index + 1}`, seconds]),
    )
  const counts = (await Promise.all(calls)).map(({ rows }) => Number(rows[0].p_moves))
  return counts.reduce((sum, one) => sum + one, 0) / seconds
}

/** Moves that are not in the history, in numbers that follow one another. */
async function lost(before: number, moves: number): Promise<number> {
  const { rows } = await admin.query(
    'select count(*) as count, max(seq) as last from bloud.events where seq > $1',
    [before],
  )
  return Math.max(Math.abs(Number(rows[0].count) - moves), Math.abs(Number(rows[0].last) - before - moves))
}

const all: Record<string, Record<string, number[]>> = {}
let missing = 0
for (let round = 0; round < rounds; round += 1) {
  for (const sessions of SESSIONS) {
    all[sessions] ??= { bloud: [], belled: [], bare: [] }
    for (const table of ['bloud', 'belled', 'bare']) {
      const before = Number((await admin.query('select max(seq) as seq from bloud.events')).rows[0].seq)
      const rate = await run(table, sessions)
      if (table === 'bloud') missing += await lost(before, Math.round(rate * seconds))
      all[sessions][table]?.push(rate)
    }
  }
}
const ratio = (of: number[] = [], to: number[] = []) =>
  spread(of.map((one, index) => one / (to[index] ?? Number.NaN)))
const rows = Object.entries(all).map(([sessions, { bloud, belled, bare }]) => ({
  sessions,
  'moves/s': spread(bloud ?? []),
  'bare update that notifies /s': spread(belled ?? []),
  'bare update /s': spread(bare ?? []),
  'ratio to notifying': ratio(bloud, belled),
  'ratio to bare': ratio(bloud, bare),
}))
report('writers', { rounds, seconds, lost: missing, postgres: await settingsOf(admin) }, rows, all)
for (const client of [...clients, listener, admin]) await client.end()
await database.stop()
