/** Starts PostgreSQL for a benchmark, with the agent's schema and with the settings of `npm start`. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { migrate } from '../../src/db/migration.ts'
import { createLogger } from '../../src/log.ts'
import { createEmbeddedPostgres, LOGINS, type Login } from '../../src/postgres/embedded.ts'

const PASSWORD = 'bench'

const MAKE_APPS = `
  with added as (
    insert into bloud.catalog_cache
      (name, yaml_content, updated_at, entry, display_name, description, category, version, is_system)
    select 'app-' || i, '', now(), '{}', 'app', '', '', '1', false from generate_series(1, $1) i)
  insert into bloud.apps (name, display_name, version, status)
  select 'app-' || i, 'App ' || i, '1', 'queued' from generate_series(1, $1) i`

export async function startDatabase() {
  const dataDir = await mkdtemp(join(tmpdir(), 'bloud-bench-pg-'))
  const postgres = createEmbeddedPostgres({
    dataDir,
    log: createLogger('bench', 'error'),
    settings: { max_connections: '200' },
  })
  const { superuserUrl } = await postgres.start()
  const urlOf = (login?: Login): string => {
    const url = new URL(superuserUrl)
    url.pathname = '/bench'
    if (login) [url.username, url.password] = [login, PASSWORD]
    return url.href
  }
  const first = new pg.Client({ connectionString: superuserUrl })
  await first.connect()
  await first.query('create database bench')
  await first.end()
  const rolePasswords = Object.fromEntries(LOGINS.map((login) => [login, PASSWORD]))
  await migrate({ url: urlOf(), rolePasswords, log: createLogger('bench', 'error') })
  return {
    urlOf,
    async session(): Promise<pg.Client> {
      const client = new pg.Client({ connectionString: urlOf() })
      client.on('error', () => undefined)
      await client.connect()
      return client
    },
    async makeApps(client: pg.Client, count: number): Promise<void> {
      await client.query(MAKE_APPS, [count])
      for (const status of ['configuring', 'building', 'starting', 'running'])
        await client.query('update bloud.apps set status = $1', [status])
    },
    async crash(): Promise<void> {
      const pid = Number((await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])
      process.kill(pid, 'SIGKILL')
    },
    async stop(): Promise<void> {
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export async function settingsOf(client: pg.Client): Promise<object> {
  const names = ['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'server_version']
  const { rows } = await client.query('select name, setting from pg_settings where name = any($1)', [names])
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
}
