/**
 * Starts the real relay (HTTP server and event stream) on a real database, without an orchestrator (worker
 * that executes operations). The test calls the orchestrator's SQL functions itself, to change statuses at
 * exact moments.
 */
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import type pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { parseCatalogFile } from '../../src/domain/catalogfile.ts'
import { createLogger } from '../../src/log.ts'
import { startRelayServer } from '../../src/main/relayserver.ts'
import { startProxy } from '../relay/proxy.ts'
import { testDatabase } from './cluster.ts'
import { lead, session, value } from './sql.ts'

/** Interval in ms at which the test reports that an orchestrator is connected, as the orchestrator does. */
const REPORT_MS = 3_000

export interface Failure {
  class: string
  message: string
  hint?: string
  exit_code?: number
  log?: string[]
}

export interface ScriptedAgent {
  address: string
  databaseUrl: string
  sql: pg.Client
  network: Awaited<ReturnType<typeof startProxy>>
  request(verb: 'install' | 'uninstall' | 'purge' | 'cancel' | 'retry', app: string): Promise<void>
  /** Starts a rebuild with all queued operations. Its apps get the status configuring. */
  claim(): Promise<void>
  /** Continues the rebuild: its apps get the status building, and the lines are added to its log. */
  build(...lines: string[]): Promise<void>
  log(lines: string[]): Promise<void>
  /**
   * Ends the rebuild successfully: its apps get the status starting or stopped, or are deleted after a purge.
   */
  succeed(): Promise<void>
  /**
   * Ends the rebuild with a failure: its apps get the status failed after an install, error after an
   * uninstall.
   */
  fail(failure: Failure): Promise<void>
  health(app: string, healthy: boolean, cause?: Failure): Promise<void>
  bringUp(...apps: string[]): Promise<void>
}

/**
 * Returns the catalog entries of nix/catalog and `more`. home-assistant is marked as not installable, so that
 * tests also have such an app.
 */
function entries(more: object[]): object[] {
  const files = globSync('nix/catalog/*.yaml', { cwd: ROOT }).sort()
  return files
    .map((file) => {
      const yaml = readFileSync(join(ROOT, file), 'utf8')
      const parsed = parseCatalogFile(yaml, basename(file))
      if ('error' in parsed) throw new Error(`${file}: ${parsed.error.reason}`)
      const { name, displayName, description, category, version, port, isSystem } = parsed.ok
      const row = { name, description, category, version, port, yaml_content: yaml, entry: parsed.ok }
      const unavailable = name === 'home-assistant' ? 'It needs a container, and this host has none.' : null
      return { ...row, display_name: displayName, is_system: isSystem, unavailable } as object
    })
    .concat(more)
}

export async function startScriptedAgent(t: TestContext, more: object[] = []): Promise<ScriptedAgent> {
  const database = await testDatabase('page')
  const sql = await session(database.url)
  const attempt = await lead(sql, entries(more))
  const url = new URL(database.urlFor('bloud_relay'))
  const network = await startProxy({ host: url.hostname, port: Number(url.port) })
  url.port = String(network.port)
  const server = await startRelayServer({
    config: { port: 0, listen: '127.0.0.1', allowedHosts: [] },
    databaseUrl: url.href,
    log: createLogger('test', 'silent'),
  })
  const reporter = await session(database.url)
  await reporter.query("set application_name = 'bloud-orchestrator-test'")
  const report = () => reporter.query("select bloud.report_worker('test', now(), '[]')").catch(() => {})
  await report()
  const reports = setInterval(report, REPORT_MS)
  t.after(async () => {
    clearInterval(reports)
    await reporter.end()
    await server.stop()
    await network.stop()
    await sql.end()
    await database.drop()
  })
  const rebuild = () => value<string>(sql, "select id from bloud.rebuilds where state = 'active'")
  const offset = () => value<string>(sql, "select log_offset from bloud.rebuilds where state = 'active'")

  async function log(lines: string[]): Promise<void> {
    const from = Number(await offset())
    await sql.query('select bloud.append_log($1, $2, $3, $4, $5)', [
      attempt,
      await rebuild(),
      from,
      from + 1,
      lines,
    ])
  }

  const agent: ScriptedAgent = {
    address: `http://127.0.0.1:${server.port}`,
    databaseUrl: database.url,
    sql,
    network,
    async request(verb, app) {
      if (verb === 'purge') await sql.query('select bloud.uninstall($1, $1::text)', [app])
      else await sql.query(`select bloud.${verb}($1)`, [app])
    },
    async claim() {
      await sql.query('select bloud.claim_rebuild($1, 1800)', [attempt])
    },
    async build(...lines) {
      await sql.query("select bloud.begin_run($1, $2, '1')", [attempt, await rebuild()])
      if (lines.length > 0) await log(lines)
    },
    log,
    async succeed() {
      await sql.query("select bloud.end_rebuild($1, $2, true, 0, '2')", [attempt, await rebuild()])
    },
    async fail(failure) {
      const cause = JSON.stringify({ phase: 'building', ...failure })
      await sql.query("select bloud.end_rebuild($1, $2, false, 1, '1', '{}', $3)", [
        attempt,
        await rebuild(),
        cause,
      ])
    },
    async health(app, healthy, cause) {
      const json = cause ? JSON.stringify(cause) : null
      await sql.query('select bloud.report_health($1, $2, $3, $4)', [attempt, app, healthy, json])
    },
    async bringUp(...apps) {
      for (const app of apps) await agent.request('install', app)
      await agent.claim()
      await agent.build()
      await agent.succeed()
      const { rows } = await sql.query("select name from bloud.apps where status = 'starting'")
      for (const { name } of rows) await agent.health(name, true)
    },
  }
  return agent
}
