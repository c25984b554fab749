/** `npm run psql`: the system's psql on the agent's database, as an operator. Arguments go to psql. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../config.ts'
import { urlAsRole } from '../db/url.ts'
import { runInTerminal } from '../system/childprocess.ts'
import { clientArguments, reachDatabase } from './databaseaccess.ts'

const ROLE = 'bloud_operator'
const NO_PSQL = `There is no psql on this machine. It comes with PostgreSQL's client:
  Debian, Ubuntu   apt install postgresql-client
  Fedora           dnf install postgresql
  macOS            brew install libpq && brew link --force libpq`

function giveUp(message: string): never {
  console.error(message)
  process.exit(1)
}

async function main(args: string[]): Promise<number> {
  const { url } = await reachDatabase(ROLE, (given) => urlAsRole(given, ROLE))
  const psqlrc = join(ROOT, 'sql/psqlrc')
  // less shows the lines of our tables as <E2><94><80> where the locale does not say UTF-8.
  const settings = { LESSCHARSET: 'utf-8', ...(existsSync(psqlrc) && { PSQLRC: psqlrc }) }
  const { target, env } = clientArguments(url, settings)
  return (await runInTerminal('psql', [`--dbname=${target}`, ...args], env)) ?? giveUp(NO_PSQL)
}

process.exitCode = await main(process.argv.slice(2)).catch((error) => giveUp(String(error?.message ?? error)))
