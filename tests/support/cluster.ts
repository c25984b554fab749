/**
 * Creates a database for each test on the PostgreSQL server that `npm test` has started. Each database is a
 * copy of a template with the agent's schema, because a copy is faster than migrations.
 */
import { createHash, randomBytes } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { join, relative } from 'node:path'
import pg from 'pg'
import { ROOT } from '../../src/config.ts'
import { migrate } from '../../src/db/migration.ts'
import { createLogger } from '../../src/log.ts'
import { LOGINS, type Login } from '../../src/postgres/embedded.ts'

export interface TestDatabase {
  name: string
  url: string
  superuserUrl: string
  /** Returns the URL of a login. `bloud_operator` stands for the login of an operator. */
  urlFor(login: Login | 'bloud_operator'): string
  drop(): Promise<void>
}

/** Arbitrary number of the advisory lock that test files take while they create the template database. */
const TEMPLATE_LOCK = 7_309_441
const FOLDERS = ['sql', 'src/db']
const NAME_BYTES = 63

/**
 * Creates a database for a test.
 * @param label start of the database name, which helps to find the test in PostgreSQL's log.
 */
export async function testDatabase(label = 'test'): Promise<TestDatabase> {
  const template = await ensureTemplate()
  const name = `${label.replace(/\W+/g, '_').toLowerCase()}_${randomBytes(6).toString('hex')}`.slice(
    -NAME_BYTES,
  )
  await administer((client) => client.query(`create database "${name}" template "${template}"`))
  const url = urlOf(name)
  return {
    name,
    url,
    superuserUrl: url,
    urlFor: (login) => urlOf(name, login === 'bloud_operator' ? 'bloud_psql' : login),
    drop: () =>
      administer(async (client) => void (await client.query(`drop database "${name}" with (force)`))),
  }
}

export function urlOf(database: string, login?: Login): string {
  const url = new URL(serverUrl())
  url.pathname = `/${database}`
  if (login) {
    url.username = login
    url.password = loginPassword()
  }
  return url.href
}

export async function administer<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: urlOf('postgres') })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function serverUrl(): string {
  const url = process.env.BLOUD_TEST_DATABASE_URL
  if (url) return url
  throw new Error('This test needs a PostgreSQL server: run it with "npm test -- <file>", which starts one.')
}

/**
 * Password of all logins of the tests. Test files run in separate processes and share the logins, so the
 * password is computed from the URL that all of them know.
 */
const loginPassword = () => createHash('sha256').update(serverUrl()).digest('hex')

let ready: Promise<string> | null = null

function ensureTemplate(): Promise<string> {
  ready ??= administer(makeTemplate)
  return ready
}

/**
 * Creates the template database, unless another test file has created it. Test files run at the same time,
 * therefore the lock.
 */
async function makeTemplate(client: pg.Client): Promise<string> {
  const template = `bloud_template_${await stateOfSql()}`
  await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
  const { rowCount } = await client.query('select from pg_database where datname = $1', [template])
  if (rowCount) return template
  const unfinished = `${template}_unfinished`
  await client.query(`drop database if exists "${unfinished}" with (force)`)
  await client.query(`create database "${unfinished}"`)
  const rolePasswords = Object.fromEntries(LOGINS.map((login) => [login, loginPassword()]))
  await migrate({ url: urlOf(unfinished), log: createLogger('test', 'warn'), rolePasswords })
  await client.query(`alter database "${unfinished}" rename to "${template}"`)
  return template
}

async function stateOfSql(): Promise<string> {
  const hash = createHash('sha256')
  for (const folder of FOLDERS) {
    const entries = await fs.readdir(join(ROOT, folder), { recursive: true, withFileTypes: true })
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    for (const path of paths.sort()) hash.update(relative(ROOT, path)).update(await fs.readFile(path))
  }
  return hash.digest('hex').slice(0, 16)
}
