/**
 * Connects the commands `npm run psql`, `npm run db:backup` and `npm run db:restore` to the agent's database.
 */
import { type Config, environmentWith, readConfig } from '../config.ts'
import { connectionProblem } from '../db/database.ts'
import { databaseUrl, type Login, readCredentials } from '../postgres/embedded.ts'
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
  external: (url: string) => string = (url) => url,
): Promise<{ url: string; config: Config }> {
  const config = readConfig()
  const facts = config.databaseUrl ? null : await readCredentials(config.dataDir)
  if (!config.databaseUrl && !facts) throw new StartError('not_running', NOT_RUNNING)
  const url = facts ? databaseUrl(facts, login) : external(config.databaseUrl ?? '')
  const problem = await connectionProblem(url)
  if (problem) throw new StartError('no_database', explainProblem(problem))
  return { url, config }
}

function explainProblem(problem: Error & { code?: string }): string {
  const refused = ['ECONNREFUSED', 'ENOENT', '57P03', '3D000'].includes(problem.code ?? '')
  return refused ? NOT_RUNNING : `Can't connect to the database: ${problem.message}`
}

/**
 * Splits a database URL for psql and pg_dump: `target` is the URL without the password, for the command line,
 * which other users of the machine can read. `env` contains the password.
 */
export function clientArguments(url: string, more: Record<string, string> = {}) {
  const target = new URL(url)
  const password = decodeURIComponent(target.password)
  target.password = ''
  return { target: target.href, env: environmentWith({ ...(password && { PGPASSWORD: password }), ...more }) }
}
