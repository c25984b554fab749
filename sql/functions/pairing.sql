-- Functions that pair the database with one data folder. The folder stores the id of the database, and the
-- database stores the id of the folder. A worker (orchestrator process) of another folder is refused, because
-- it would repeat all work on a machine without the apps and their data.
--
--   first start of a worker    the database is not paired: pair_folder() pairs it
--   later start                pair_folder() returns the refusal, or none
--   new hardware, restore      adopt() pairs the database with another folder
--
-- Errors raised: BL022 other_folder, by acquire_lease() (lease.sql).

create or replace function bloud.refusal_of_folder(p_folder text, p_database text, p_machine text)
returns bloud.refusal
language plpgsql stable as $$
declare
  v_pairing bloud.pairing;
  v_problem text;
begin
  select * into v_pairing from bloud.pairing;
  v_problem := case
    when v_pairing.folder_id <> p_folder and v_pairing.machine <> p_machine
      then 'The database belongs to the data folder of %1$s, not to that of %2$s'
    when v_pairing.folder_id <> p_folder then 'The database belongs to another data folder of %2$s'
    when v_pairing.database_id is distinct from p_database and p_database is not null
      then 'The data folder of %2$s belongs to another database' end;
  if v_problem is null then
    return null;
  end if;
  return ('BL022', format(v_problem, v_pairing.machine, p_machine),
    'Paired on ' || to_char(v_pairing.paired_at at time zone 'UTC', 'YYYY-MM-DD') || '.',
    format('Correct DATABASE_URL or BLOUD_DATA_DIR. If this data folder and this database belong together '
      'from now on, run "npm run adopt" on %s (on NixOS: systemctl start bloud-adopt).',
      p_machine))::bloud.refusal;
end
$$;
comment on function bloud.refusal_of_folder(text, text, text) is
  'Returns the reason why the worker of a data folder may not work with this database, or null. p_folder is '
  'the id of the folder, p_database the id of the database that the folder stores, or null.';

create or replace function bloud.refusal_of_copy(p_folder text, p_machine text) returns bloud.refusal
language plpgsql stable as $$
declare
  v_lease bloud.lease;
  v_machine text;
begin
  select * into v_lease from bloud.lease l where l.folder_id = p_folder;
  v_machine := split_part(v_lease.worker, ':', 1);
  if v_machine <> p_machine and bloud.is_led() and bloud.is_connected(v_lease.worker) then
    return ('BL022', format('The orchestrator of %s works with the same data folder as %s', v_machine,
      p_machine), 'One of the two folders is a copy of the other.',
      format('Stop the agent on one of the two machines. If %s shall work too, correct its DATABASE_URL and '
        'delete pairing.json in its copy.', p_machine))::bloud.refusal;
  end if;
  return null;
end
$$;
comment on function bloud.refusal_of_copy(text, text) is
  'Returns the reason why the worker of a data folder must wait, because the worker of another machine works '
  'with a folder of the same id, or null.';

create or replace function bloud.pair_folder(p_folder text, p_database text, p_machine text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_pairing bloud.pairing;
  v_refusal bloud.refusal;
begin
  select * into v_pairing from bloud.pairing;
  if v_pairing.folder_id is null then
    select * into v_pairing from bloud.pairing for update; -- two workers may start at the same time
  end if;
  v_refusal := bloud.refusal_of_folder(p_folder, p_database, p_machine);
  if v_refusal.sqlstate is null then
    v_refusal := bloud.refusal_of_copy(p_folder, p_machine);
  end if;
  if v_refusal.sqlstate is not null then
    -- A refused worker tries again every few seconds, so the time is stored only every 20 s.
    update bloud.pairing set refused_folder = p_folder, refused_machine = p_machine,
      refused_database = p_database, refused_at = bloud.clock()
    where (refused_folder, refused_database) is distinct from (p_folder, p_database)
      or refused_at not between bloud.clock() - interval '20 s' and bloud.clock();
  elsif v_pairing.folder_id is null then
    update bloud.pairing set database_id = gen_random_uuid()::text, folder_id = p_folder,
      machine = p_machine, paired_at = bloud.clock(), refused_folder = null, refused_machine = null,
      refused_database = null, refused_at = null
    returning * into v_pairing;
  elsif v_pairing.machine is distinct from p_machine then
    update bloud.pairing set machine = p_machine;
  end if;
  return jsonb_build_object('database', v_pairing.database_id, 'message', v_refusal.message,
    'hint', v_refusal.hint);
end
$$;
comment on function bloud.pair_folder(text, text, text) is
  'Pairs the database with a data folder if it is not paired yet. Returns the id of the database and, if the '
  'folder is refused, the reason: {database, message, hint}.';

create or replace function bloud.adopt(p_folder text, p_machine text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_attempt bigint;
begin
  -- A higher attempt number ends the work of the former worker, whose writes are refused from now on.
  update bloud.lease set attempt = attempt + 1, lease_until = null returning attempt into v_attempt;
  update bloud.rebuilds set attempt = v_attempt where state = 'active';
  update bloud.pairing set database_id = coalesce(database_id, gen_random_uuid()::text),
    folder_id = p_folder, machine = p_machine, paired_at = bloud.clock(),
    refused_folder = null, refused_machine = null, refused_database = null, refused_at = null;
  return (select p.database_id from bloud.pairing p);
end
$$;
comment on function bloud.adopt(text, text) is
  'Pairs the database with another data folder, for example on new hardware. The worker of the former folder '
  'is refused from now on. Returns the id of the database, which the folder must store.';

create or replace function bloud.pairing_refusal() returns bloud.refusal
language sql stable as $$
  select bloud.refusal_of_folder(p.refused_folder, p.refused_database, p.refused_machine)
  from bloud.pairing p
  where p.refused_at between bloud.clock() - interval '1 minute' and bloud.clock() + interval '1 minute'
    and not bloud.is_led()
$$;
comment on function bloud.pairing_refusal() is
  'Returns why a worker was refused in the last minute, or null. Also returns null while a worker of the '
  'right data folder holds the lease, because the refused one is then only on another machine.';
