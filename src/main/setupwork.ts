/** Steps of setup.ts that need the database and the host. */
import { hostname } from 'node:os'
import { hostEnvironment } from '../config/childenvironment.ts'
import type { Config } from '../config.ts'
import { poolerProblem } from '../db/connectionproblem.ts'
import { connectionProblem, ensureDatabase, NoResponseError, rightsWarning } from '../db/database.ts'
import { MigrationError, migrate as migrateDatabase } from '../db/migration.ts'
import { folderProblem } from '../db/pairing.ts'
import { urlAsRole } from '../db/url.ts'
import { createHost, type Host, HostError } from '../host/index.ts'
import { createLogger } from '../log.ts'
import { ensureIdentity } from '../orchestrator/identity.ts'
import { type Credentials, databaseUrl } from '../postgres/credentials.ts'
import { isRoot } from '../system/systemuser.ts'
import type { Steps } from './setupsteps.ts'
import { StartError } from './starterror.ts'

/** Errors of these steps whose message is written for the operator. */
export const EXPECTED = [HostError, MigrationError, NoResponseError]

const logOf = ({ logLevel }: Config) => createLogger('start', logLevel)

/** Brings the embedded database, its schema and its logins up to date. */
async function migrateEmbedded(config: Config, superuserUrl: string, facts: Credentials): Promise<string> {
  await ensureDatabase(superuserUrl, facts.database)
  const { rolePasswords } = facts
  await migrateDatabase({ url: databaseUrl(facts, 'superuser'), rolePasswords, log: logOf(config) })
  return databaseUrl(facts, 'bloud_orchestrator')
}

async function migrateExternal(config: Config, url: string): Promise<string> {
  const problem = await connectionProblem(url)
  if (problem) {
    throw new StartError('no_database', `Can't connect to the database of DATABASE_URL: ${problem.message}`)
  }
  const shared = await poolerProblem(url)
  if (shared) throw new StartError('connection_pooler', shared)
  // A database that belongs to another machine is not migrated, because that machine may run another version.
  if (!(await refusalOfFolder(config, url))) await migrateDatabase({ url, log: logOf(config) })
  const warning = await rightsWarning(url)
  if (warning) logOf(config).warn(warning)
  return urlAsRole(url, 'bloud_orchestrator')
}

const refusalOfFolder = async ({ pairingFile }: Config, url: string): Promise<string | null> =>
  folderProblem(url, await ensureIdentity(pairingFile), hostname())

function hostOf(config: Config): Promise<Host> {
  if (isRoot()) process.umask(0o077) // Files of the agent are not readable for apps, which run as another user.
  const log = logOf(config)
  const environment = hostEnvironment()
  return createHost({ ...config, ownsAll: true, environment, log: (line) => log.info(line) })
}

export const migrate: Steps['migrate'] = async (config, server) => {
  const url = config.databaseUrl
    ? await migrateExternal(config, config.databaseUrl)
    : await migrateEmbedded(config, server?.superuserUrl ?? '', server?.facts as Credentials)
  return refusalOfFolder(config, url)
}

export const startHost: Steps['startHost'] = async (config) => {
  const host = await hostOf(config)
  await host.start().catch((error: Error) => {
    if (error instanceof HostError) throw error
    throw new StartError('host', `The apps can't be started: ${error.message}`)
  })
}

export const stopHost: Steps['stopHost'] = async (config) => (await hostOf(config)).stop()
