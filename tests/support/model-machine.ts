/**
 * Executes the commands of the model test on a real database, and reads the tables to compare them with the
 * model of the database (tests/support/model.ts).
 */
import type pg from 'pg'
import type { TestDatabase } from './cluster.ts'
import {
  type App,
  type Catalog,
  type Command,
  type Operation,
  refusalOfCancel,
  refusalOfInstall,
  refusalOfRetry,
  refusalOfUninstall,
  type World,
} from './model-rules.ts'
import { entry, lead, session, value } from './sql.ts'

export interface Result {
  refused?: string
  id?: string
  status?: string | null
}

export interface Tables {
  apps: Record<string, App & { controls: Record<string, string | null> }>
  operations: (Pick<
    Operation,
    'name' | 'app' | 'kind' | 'state' | 'purge' | 'cancelling' | 'requestedFor'
  > & {
    id?: string
  })[]
  rebuild: World['rebuild']
  transitions: World['transitions']
  violated: unknown[]
}

export interface ModelDatabase {
  reset(): Promise<void>
  run(command: Command, operator?: 0 | 1): Promise<Result>
  readTables(): Promise<Tables>
  close(): Promise<void>
}

const LATER = { 'no time': '0 s', 'a minute': '40 s', 'a day': '25 hours' }

const EMPTY = `
  set session_replication_role = replica;
  delete from bloud.events; delete from bloud.apps; delete from bloud.operations; delete from bloud.rebuilds;
  set session_replication_role = origin`

const READ_TABLES = `
  with o as (
    select o.*, o.app || '#' || row_number() over (partition by o.app order by o.id) as name
    from bloud.operations o)
  select jsonb_build_object(
    'apps', (
      select coalesce(jsonb_object_agg(a.name, jsonb_build_object('status', a.status, 'wanted', a.wanted,
        'displayName', a.display_name, 'config', a.integration_config, 'ran', a.installed_at is not null,
        'configured', a.configured_at is not null, 'operation', o.name,
        'controls', (
          select jsonb_object_agg(c.key, c.value -> 'code')
          from jsonb_each(bloud.controls(a.name)) c))), '{}')
      from bloud.apps a left join o on o.id = a.operation_id),
    'operations', (
      select coalesce(jsonb_agg(jsonb_build_object('id', o.id::text, 'name', o.name, 'app', o.app,
        'kind', o.kind, 'state', o.state, 'purge', o.purge, 'cancelling', o.cancel_requested_at is not null,
        'requestedFor', f.name) order by o.name), '[]')
      from o left join o f on f.id = o.requested_for),
    'rebuild', (
      select jsonb_build_object('begun', r.phase = 'building')
      from bloud.rebuilds r where r.state = 'active'),
    'transitions', (
      select coalesce(jsonb_object_agg(m.app, m.transitions), '{}')
      from (
        select e.app, jsonb_agg(
          coalesce(e.from_status, '') || '→' || coalesce(e.to_status, '') order by e.seq) as transitions
        from bloud.events e group by e.app) m),
    'violated', (select coalesce(jsonb_agg(i), '[]') from bloud.check_invariants() i))`

export function expected(world: World): Omit<Tables, 'violated'> {
  const apps = Object.entries(world.apps).map(([name, app]) => {
    const controls = {
      install: refusalOfInstall(world, name),
      retry: refusalOfRetry(world, name),
      cancel: refusalOfCancel(world, name),
      uninstall: refusalOfUninstall(world, name, false),
      purge: refusalOfUninstall(world, name, true),
    }
    return [name, { ...app, controls }]
  })
  const operations = world.operations
    .map(({ name, app, kind, state, purge, cancelling, requestedFor }) => {
      return { name, app, kind, state, purge, cancelling, requestedFor }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  return {
    apps: Object.fromEntries(apps),
    operations,
    rebuild: world.rebuild,
    transitions: world.transitions,
  }
}

function entriesOf(catalog: Catalog): object[] {
  return Object.entries(catalog).map(([name, { port, isSystem, unavailable, slots = {} }]) => {
    const integrations = Object.fromEntries(
      Object.entries(slots).map(([key, { compatible, default: first, ...rest }]) => {
        return [key, { ...rest, compatible: compatible.map((app) => ({ app, default: app === first })) }]
      }),
    )
    return entry(name, {
      integrations,
      timeout: 30,
      ...(port ? { port } : {}),
      ...(isSystem ? { isSystem } : {}),
      ...(unavailable ? { unavailable: 'Not on this machine.' } : {}),
    })
  })
}

export async function openModelDatabase(database: TestDatabase, catalog: Catalog): Promise<ModelDatabase> {
  const root = await session(database.url)
  const orchestrator = await session(database.urlFor('bloud_orchestrator'))
  const operators = [
    await session(database.urlFor('bloud_operator')),
    await session(database.urlFor('bloud_operator')),
  ]
  let attempt = await lead(root, entriesOf(catalog))
  let rebuild: string | undefined
  await root.query("set client_min_messages = warning; set timezone = 'UTC'")

  async function verb(client: pg.Client, text: string, values: unknown[]): Promise<Result> {
    try {
      return { id: await value<string>(client, `select id::text from bloud.${text}`, values) }
    } catch (error) {
      await client.query('select') // waits until PostgreSQL has released the locks of the refused statement
      return { refused: (error as pg.DatabaseError).code ?? String(error) }
    }
  }

  async function takeOver(): Promise<Result> {
    const previous = attempt
    await root.query("update bloud.lease set lease_until = now() - interval '1 second'")
    attempt = Number(await value(orchestrator, 'select bloud.acquire_lease($1, 3600)', [`after ${previous}`]))
    const stale = await verb(orchestrator, 'claim_rebuild($1, 3600)', [previous])
    return stale.refused === 'BL016'
      ? {}
      : { refused: `a stale attempt was not refused: ${JSON.stringify(stale)}` }
  }

  async function end(command: Command & { verb: 'end' }): Promise<Result> {
    const { switched, failures, all } = command.ending
    const causes = Object.fromEntries(
      Object.entries(failures).map(([app, cause]) => [app, { class: cause, message: cause, hint: cause }]),
    )
    const whole = all ? JSON.stringify({ class: 'build', message: 'all', hint: 'all' }) : null
    const text = "end_rebuild($1, $2, $3, 1, '2', $4, $5)"
    const next = await verb(orchestrator, text, [attempt, rebuild, switched, JSON.stringify(causes), whole])
    if (next.refused) return next
    rebuild = next.id
    return {}
  }

  async function work(command: Command): Promise<Result> {
    switch (command.verb) {
      case 'takeover':
        return takeOver()
      case 'claim': {
        const claimed = await verb(orchestrator, 'claim_rebuild($1, 3600)', [attempt])
        rebuild = claimed.id
        return claimed.refused ? claimed : {}
      }
      case 'begin':
        if (rebuild) await orchestrator.query("select bloud.begin_run($1, $2, '1')", [attempt, rebuild])
        return {}
      case 'end':
        return rebuild ? end(command) : {}
      case 'health': {
        const cause = command.healthy ? null : '{"message": "no answer", "hint": "check"}'
        const values = [attempt, command.app, command.healthy, cause]
        return { status: await value(orchestrator, 'select bloud.report_health($1, $2, $3, $4)', values) }
      }
      case 'sweep':
        await root.query(`
          select set_config('bloud.clock', (now() + interval '${LATER[command.after]}')::text, false);
          select bloud.sweep(${attempt});
          select set_config('bloud.clock', '', false)`)
        return {}
      default:
        throw new Error(`${command.verb} is not a command of the orchestrator`)
    }
  }

  return {
    async reset() {
      rebuild = undefined
      await root.query(EMPTY)
    },
    run(command, operator = 0) {
      const client = operators[operator] as pg.Client
      switch (command.verb) {
        case 'install':
          return verb(client, 'install($1, $2)', [command.app, JSON.stringify({ choices: command.choices })])
        case 'uninstall':
        case 'purge':
          return verb(client, 'uninstall($1, $2::text)', [
            command.app,
            command.verb === 'purge' ? command.app : null,
          ])
        case 'retry':
        case 'cancel':
          return verb(client, `${command.verb}($1)`, [command.app])
        case 'rename':
          return verb(client, 'rename($1, $2)', [command.app, command.displayName])
        default:
          return work(command)
      }
    },
    readTables: () => value<Tables>(root, READ_TABLES),
    async close() {
      await Promise.all([root, orchestrator, ...operators].map((client) => client.end()))
    },
  }
}
