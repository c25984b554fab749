/**
 * Command `npm run psql`: opens psql on the agent's database, with the rights of an operator. All arguments
 * are passed to psql.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../config.ts'
import { onlyInherits } from '../db/database.ts'
import { urlAsRole } from '../db/url.ts'
import { runInTerminal } from '../system/childprocess.ts'
import { reachDatabase, withClientArguments } from './databaseaccess.ts'

/** Login of the embedded PostgreSQL, a member of the role below. */
const LOGIN = 'bloud_psql'
/** PostgreSQL role of a session on an external server. This role may execute all verbs (install …). */
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
  const { url } = await reachDatabase(LOGIN, async (given) =>
    (await onlyInherits(given, ROLE).catch(() => false)) ? given : urlAsRole(given, ROLE),
  )
  const psqlrc = join(ROOT, 'sql/psqlrc')
  // psql prints long results with `less`. Without LESSCHARSET, `less` would print the borders of tables as
  // `<E2><94><80>` on a machine without a UTF-8 locale.
  const settings = { LESSCHARSET: 'utf-8', ...(existsSync(psqlrc) && { PSQLRC: psqlrc }) }
  const code = await withClientArguments(url, settings, ({ target, env }) =>
    runInTerminal('psql', [`--dbname=${target}`, ...args], env),
  )
  return code ?? giveUp(NO_PSQL)
}

process.exitCode = await main(process.argv.slice(2)).catch((error) => giveUp(String(error?.message ?? error)))
