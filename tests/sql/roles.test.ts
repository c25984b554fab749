/** Tests that each PostgreSQL role has exactly the privileges listed in EXPECTED. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { migrate } from '../../src/db/migration.ts'
import { administer, type TestDatabase, testDatabase, urlOf } from '../support/cluster.ts'
import { entry, lead, refusalOf, session } from '../support/sql.ts'

/** Login role without any grant, which therefore has only the privileges of PUBLIC (every role). */
const STRANGER = `stranger_${randomBytes(4).toString('hex')}`
const READERS = ['bloud_viewer', 'bloud_operator', 'bloud_relay', 'bloud_orchestrator']
const ROLES = [STRANGER, ...READERS, 'bloud_owner']

type Grants = Partial<Record<string, string[]>>
const READ_ONLY: Grants = { select: READERS }

/** Roles with a privilege, by object and privilege. bloud_owner, which has all privileges, is omitted. */
const EXPECTED: Record<string, Grants> = {
  'schema bloud': { usage: READERS },
  ...each('type', {}, 'refusal app_name tcp_port status cause choices'),
  'sequence events_seq': { select: READERS },
  ...each('sequence', {}, 'apps_id_seq operations_id_seq rebuilds_id_seq migrations_id_seq'),
  ...each('table', READ_ONLY, 'apps catalog_cache catalog_problems events lease migrations operations'),
  ...each('table', READ_ONLY, 'invariant_check'),
  ...each('table', READ_ONLY, 'deletions pairing rebuild_log rebuilds status_transitions stream workers'),
  ...each('table', {}, 'lock_events lock_keys lock_verbs'),
  ...each('view', READ_ONLY, 'active app_status catalog desired_apps history probed_apps queue'),
  ...each(
    'function',
    { execute: READERS },
    `blocking_sessions check_events check_invariants check_name check_state clock control_of controls controls_of events_after find_rollback is_connected is_installed is_led is_relay
    last_events longest_lease needs_of open_operation operation_log pairing_refusal plan_install plan_rollback
    plan_uninstall readiness refusal_of refusal_of_cancel refusal_of_copy refusal_of_folder
    refusal_of_install refusal_of_retry refusal_of_rollback refusal_of_uninstall refuse required_by
    rollback_of schema_version session_actor session_origin snapshot status_at step_durations
    stream_after stream_head usual_duration recent_restarts why`,
  ),
  ...each(
    'function',
    { execute: ['bloud_operator'] },
    'cancel install refresh_catalog rename retry rollback uninstall',
  ),
  ...each('function', { execute: ['bloud_relay'] }, 'check_history'),
  ...each(
    'function',
    { execute: ['bloud_orchestrator'] },
    `acquire_lease adopt append_log begin_activation begin_run claim_rebuild end_rebuild fail_refresh
    gone_holder has_work is_sweep_due late_deadlines move_deadlines pair_folder prune record_check release_lease renew_lease report_health report_restarts report_warnings report_worker sweep
    sync_catalog`,
  ),
  'function deployment': {},
  ...each(
    'function',
    {},
    `add_blocker add_dependents add_lock_keys append_event apps_with assert_attempt cancelled_cause check_options check_purge
    claim_rollback complete_operation correct_deadlines dependencies_queued_for detach_from_requester end_operation
    fail_operation fill_slot filter_claimable follow_rebuild guard_app guard_append_only guard_identity is_lost
    is_display_name kept_operations
    last_operation lock_all_apps lock_apps lock_install lock_key lock_plan lock_related new_epoch notify_channel
    prune_events prune_lines prune_operations rollback_rebuilds request_install request_uninstall requests_in resolve_dependencies revert_cancel server_timeline stamp_operation
    start_rebuild try_lock_app withdraw_dependencies withdraw_install withdraw_operation withdraw_rollback write_plan`,
  ),
}

function each(kind: string, grants: Grants, names: string): Record<string, Grants> {
  return Object.fromEntries(names.split(/\s+/).map((name) => [`${kind} ${name}`, grants]))
}

/**
 * Query with one row for each object, role and privilege. $2 adds MAINTAIN, a privilege since PostgreSQL 17.
 */
const CELLS = `
  with things as (
    select case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end as kind,
      c.relname as name, c.oid
    from pg_class c where c.relnamespace = 'bloud'::regnamespace and c.relkind not in ('i', 'I', 'c', 't')
    union all select 'function', p.proname, p.oid from pg_proc p where p.pronamespace = 'bloud'::regnamespace
    union all select 'schema', 'bloud', 'bloud'::regnamespace::oid
    union all select 'type', t.typname, t.oid from pg_type t left join pg_class c on c.oid = t.typrelid
      where t.typnamespace = 'bloud'::regnamespace and t.typelem = 0 and coalesce(c.relkind, 'c') = 'c'),
  privileges (kind, names) as (
    select k, array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'] || $2::text[]
    from unnest(array['table', 'view']) as k
    union all values
    ('sequence', array['usage', 'select', 'update']),
    ('function', array['execute']), ('schema', array['usage', 'create']), ('type', array['usage']))
  select t.kind || ' ' || t.name as thing, r.role, p.privilege,
    case t.kind
      when 'function' then has_function_privilege(r.role, t.oid, p.privilege)
      when 'schema' then has_schema_privilege(r.role, t.oid, p.privilege)
      when 'type' then has_type_privilege(r.role, t.oid, p.privilege)
      when 'sequence' then has_sequence_privilege(r.role, t.oid, p.privilege)
      else has_table_privilege(r.role, t.oid, p.privilege)
        or (p.privilege in ('select', 'insert', 'update', 'references')
          and has_any_column_privilege(r.role, t.oid, p.privilege))
    end as granted
  from things t join privileges k on k.kind = t.kind cross join unnest(k.names) as p (privilege)
  cross join unnest($1::text[]) as r (role)`

interface Cell {
  thing: string
  role: string
  privilege: string
  granted: boolean
}

let database: TestDatabase
let root: pg.Client
before(async () => {
  database = await testDatabase('roles')
  root = await session(database.url)
  await administer((client) => client.query(`create role ${STRANGER} login password '${STRANGER}'`))
  // Migrates again, because the copy of a template database lacks the grants on the database itself.
  await migrate({ url: database.url, log: { info() {} } })
  await lead(root, [entry('flow')])
  await root.query("select bloud.install('flow')")
})
after(async () => {
  await root.end()
  await database.drop()
  await administer((client) => client.query(`drop role ${STRANGER}`))
})

async function cells(): Promise<Cell[]> {
  const { rows } = await root.query("select current_setting('server_version_num')::int >= 170000 as maintain")
  return (await root.query(CELLS, [ROLES, rows[0].maintain ? ['maintain'] : []])).rows
}

const isExpected = ({ thing, role, privilege }: Cell): boolean =>
  role === 'bloud_owner' || (EXPECTED[thing]?.[privilege]?.includes(role) ?? false)

test('each role has exactly the expected privileges on every object', async () => {
  const all = await cells()
  const things = [...new Set(all.map(({ thing }) => thing))].sort()
  assert.deepEqual(
    things,
    Object.keys(EXPECTED).sort(),
    'an object has no line in the table, or a line has no object',
  )
  const unexpected = all.filter((cell) => cell.granted !== isExpected(cell))
  assert.deepEqual(unexpected, [])
  assert.ok(all.length > 1000, `${all.length} cells`)
})

test('an additional privilege is found, so the first test can fail', async () => {
  await root.query('begin; grant update (status) on bloud.apps to bloud_viewer')
  const unexpected = (await cells()).filter((cell) => cell.granted !== isExpected(cell))
  await root.query('rollback')
  // bloud_operator and bloud_orchestrator inherit the privileges of bloud_viewer, but bloud_relay does not.
  const granted = ['bloud_operator', 'bloud_orchestrator', 'bloud_viewer']
  assert.deepEqual(
    unexpected.map(({ thing, role, privilege }) => [thing, role, privilege]).sort(),
    granted.map((role) => ['table apps', role, 'update']),
  )
})

test('PUBLIC has no privilege on the database, the schema, its objects or new functions', async () => {
  const { rows } = await root.query(`
    with lists (what, acl) as (
      select 'relation ' || relname,
        coalesce(relacl, acldefault(case relkind when 'S' then 's'::"char" else 'r' end, relowner))
      from pg_class where relnamespace = 'bloud'::regnamespace and relkind in ('r', 'v', 'S')
      union all select format('column %s.%s', attrelid::regclass, attname), attacl
      from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relnamespace = 'bloud'::regnamespace
      union all select 'function ' || proname, coalesce(proacl, acldefault('f', proowner)) from pg_proc
      where pronamespace = 'bloud'::regnamespace
      union all select 'type ' || typname, coalesce(typacl, acldefault('T', typowner)) from pg_type t
      where typnamespace = 'bloud'::regnamespace and typname = 'refusal'
      union all select 'schema', coalesce(nspacl, acldefault('n', nspowner)) from pg_namespace
      where nspname = 'bloud'
      union all select 'database', coalesce(datacl, acldefault('d', datdba)) from pg_database
      where datname = current_database()
      union all select 'new functions', defaclacl from pg_default_acl
      where defaclrole = 'bloud_owner'::regrole and defaclobjtype = 'f')
    select l.what, a.privilege_type from lists l cross join aclexplode(l.acl) a where a.grantee = 0`)
  assert.deepEqual(rows, [])
  await assert.rejects(session(urlAs(STRANGER)), { code: '42501' }, 'a login without a grant can not connect')
})

const urlAs = (role: string): string => {
  const url = new URL(urlOf(database.name))
  url.username = role
  url.password = role
  return url.href
}

test('a login that may connect but has no role of the system can read nothing', async () => {
  await root.query(`grant connect on database "${database.name}" to ${STRANGER}`)
  const stranger = await session(urlAs(STRANGER))
  for (const statement of [
    'select * from bloud.apps',
    'select bloud.clock()',
    "select bloud.install('flow')",
    'create table bloud.mine ()',
    'set role bloud_operator',
  ]) {
    assert.equal((await refusalOf(stranger, statement)).code, '42501', statement)
  }
  await stranger.end()
})

test('security definer functions have a fixed search_path, and bloud_owner owns every object', async () => {
  const { rows } = await root.query(`
    select p.proname from pg_proc p where p.pronamespace = 'bloud'::regnamespace and p.prosecdef
      and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)`)
  assert.deepEqual(rows, [])
  const owners = await root.query(`
    select distinct pg_get_userbyid(o.owner) as owner from (
      select proowner as owner from pg_proc where pronamespace = 'bloud'::regnamespace
      union select relowner from pg_class where relnamespace = 'bloud'::regnamespace
      union select typowner from pg_type where typnamespace = 'bloud'::regnamespace
      union select nspowner from pg_namespace where nspname = 'bloud') o`)
  assert.deepEqual(owners.rows, [{ owner: 'bloud_owner' }])
})

test('no role is a superuser, the owner can not log in, only the relay may become an operator', async () => {
  const names = ROLES.slice(1)
  const { rows } = await root.query(
    `select rolname from pg_roles where rolname = any ($1)
       and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)`,
    [names],
  )
  assert.deepEqual(rows, [])
  const owner = await root.query("select rolcanlogin from pg_roles where rolname = 'bloud_owner'")
  assert.deepEqual(owner.rows, [{ rolcanlogin: false }])
  const members = await root.query(
    `select m.member::regrole::text || ' in ' || m.roleid::regrole::text as member from pg_auth_members m
     where m.member::regrole::text = any ($1) order by 1`,
    [names],
  )
  assert.deepEqual(
    members.rows.map(({ member }) => member),
    ['bloud_operator in bloud_viewer', 'bloud_orchestrator in bloud_viewer', 'bloud_relay in bloud_operator'],
  )
})

test('each reading role can call every reading function and select from every view', async () => {
  const calls = `check_invariants() | plan_install('flow') | plan_uninstall('flow')
    | refusal_of('install', 'flow') | controls('flow') | is_installed('flow') | required_by('flow')
    | open_operation('flow') | stream_head() | snapshot() | usual_duration('flow', 'queued')
    | recent_restarts('flow')
    | step_durations('flow', 1) | events_after(0, 9) | stream_after(0, 9) | operation_log(1, 0, 9)
    | why('flow') | clock() | status_at('flow', now()) | schema_version() | session_actor()
    | is_relay() | session_origin() | readiness() | blocking_sessions() | check_name('flow') | refuse(null)`
  const views = ['active', 'app_status', 'catalog', 'desired_apps', 'history', 'probed_apps', 'queue']
  for (const role of READERS) {
    await root.query(`set role ${role}`)
    for (const call of calls.split('|')) await root.query(`select * from bloud.${call.trim()}`)
    for (const view of views) await root.query(`table bloud.${view}`)
    await root.query('reset role')
  }
})
