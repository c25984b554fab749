/**
 * Connects the commands `npm run psql`, `npm run db:backup` and `npm run db:restore` to the agent's database.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clientEnvironment, hideEnvironment } from '../config/childenvironment.ts'
import { type Config, readConfig } from '../config.ts'
import { connectionProblem } from '../db/database.ts'
import { databaseUrl, type Login, readCredentials } from '../postgres/embedded.ts'
import type { Environment } from '../system/environment.ts'
import { StartError } from './starterror.ts'

const NOT_RUNNING = 'The database is not running. Start it with "npm start", in another terminal.'

/**
 * Tests the connection to the agent's database and returns the URL of the database.
 * @param login PostgreSQL login in the URL, if the agent uses the embedded PostgreSQL.
 * @param external converts DATABASE_URL, for example adds a PostgreSQL role. Not called for the embedded
 * PostgreSQL.
 * @throws StartError if the database can't be reached.
 */
export async function reachDatabase(
  login: Login | 'superuser',
  external: (url: string) => Promise<string> | string = (url) => url,
): Promise<{ url: string; config: Config }> {
  const config = readConfig()
  hideEnvironment()
  const facts = config.databaseUrl ? null : await readCredentials(config.dataDir)
  if (!config.databaseUrl && !facts) throw new StartError('not_running', NOT_RUNNING)
  const url = facts ? databaseUrl(facts, login) : await external(config.databaseUrl ?? '')
  const problem = await connectionProblem(url)
  if (problem) throw new StartError('no_database', explainProblem(problem))
  return { url, config }
}

function explainProblem(problem: Error & { code?: string }): string {
  const refused = ['ECONNREFUSED', 'ENOENT', '57P03', '3D000'].includes(problem.code ?? '')
  return refused ? NOT_RUNNING : `Can't connect to the database: ${problem.message}`
}

export interface ClientArguments {
  /** URL of the database without the password, for the command line, which other users can read. */
  target: string
  env: Environment
}

/**
 * Calls `work` with the arguments of psql, pg_dump and pg_restore. The password is in a file that only this
 * user can read and that is deleted afterwards.
 */
export async function withClientArguments<T>(
  url: string,
  more: Environment,
  work: (client: ClientArguments) => Promise<T>,
): Promise<T> {
  const target = new URL(url)
  const password = decodeURIComponent(target.password)
  target.password = ''
  const env = { ...clientEnvironment(), ...more }
  if (!password) return work({ target: target.href, env })
  const folder = await mkdtemp(join(tmpdir(), 'bloud-password-'))
  try {
    const PGPASSFILE = join(folder, 'pgpass')
    const line = `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`
    await writeFile(PGPASSFILE, line, { mode: 0o600, flag: 'wx' })
    return await work({ target: target.href, env: { ...env, PGPASSFILE } })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
