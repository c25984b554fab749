/** How the commands for people (psql, backup, restore) reach the agent's database. */
import { type Config, environmentWith, readConfig } from '../config.ts'
import { connectionProblem } from '../db/database.ts'
import { databaseUrl, type Login, readCredentials } from '../postgres/embedded.ts'
import { StartError } from './starterror.ts'

const NOT_RUNNING = 'The database is not running. Start it with "npm start", in another terminal.'

/**
 * The address for `login` on the embedded database, or that of DATABASE_URL as it is, once it is known to answer.
 * @throws StartError
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

/** For PostgreSQL's programs. The password goes through the environment: everybody here can read our arguments. */
export function clientArguments(url: string, more: Record<string, string> = {}) {
  const target = new URL(url)
  const password = decodeURIComponent(target.password)
  target.password = ''
  return { target: target.href, env: environmentWith({ ...(password && { PGPASSWORD: password }), ...more }) }
}
