/**
 * Program that `npm start` starts for what is done once: reading the settings, preparing the database,
 * starting and ending the apps. In a process of its own, because its code would take 25 MB of memory for as
 * long as the agent runs.
 */
import { hostname } from 'node:os'
import { hideEnvironment, hostEnvironment } from '../config/childenvironment.ts'
import { type Config, ConfigError, readConfig } from '../config.ts'
import { poolerProblem } from '../db/connectionproblem.ts'
import { connectionProblem, ensureDatabase, NoResponseError, rightsWarning } from '../db/database.ts'
import { MigrationError, migrate } from '../db/migration.ts'
import { folderProblem } from '../db/pairing.ts'
import { urlAsRole } from '../db/url.ts'
import { createHost, type Host, HostError } from '../host/index.ts'
import { createLogger } from '../log.ts'
import { ensureIdentity } from '../orchestrator/pairing.ts'
import { type Credentials, databaseUrl } from '../postgres/credentials.ts'
import { PostgresError } from '../postgres/error.ts'
import { prepare } from '../postgres/preparation.ts'
import { isRoot } from '../system/systemuser.ts'
import type { SetupReply, SetupRequest, Steps } from './setupsteps.ts'
import { StartError } from './starterror.ts'

/** Errors whose message is written for the operator. Others are bugs, which are printed with the stack. */
const EXPECTED = [StartError, ConfigError, HostError, PostgresError, MigrationError, NoResponseError]

const logOf = ({ logLevel }: Config) => createLogger('start', logLevel)

/** Brings the embedded database, its schema and its logins up to date. */
async function migrateEmbedded(config: Config, superuserUrl: string, facts: Credentials): Promise<string> {
  await ensureDatabase(superuserUrl, facts.database)
  const { rolePasswords } = facts
  await migrate({ url: databaseUrl(facts, 'superuser'), rolePasswords, log: logOf(config) })
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
  if (!(await refusalOfFolder(config, url))) await migrate({ url, log: logOf(config) })
  const warning = await rightsWarning(url)
  if (warning) logOf(config).warn(warning)
  return urlAsRole(url, 'bloud_orchestrator')
}

const refusalOfFolder = async ({ pairingFile }: Config, url: string): Promise<string | null> =>
  folderProblem(url, await ensureIdentity(pairingFile), hostname())

function hostOf(config: Config): Host {
  if (isRoot()) process.umask(0o077) // Files of the agent are not readable for apps, which run as another user.
  const log = logOf(config)
  const environment = hostEnvironment()
  return createHost({ ...config, ownsAll: true, environment, log: (line) => log.info(line) })
}

const steps: Steps = {
  async config() {
    const config = readConfig()
    hideEnvironment()
    return config
  },
  prepare,
  async migrate(config, server) {
    const url = config.databaseUrl
      ? await migrateExternal(config, config.databaseUrl)
      : await migrateEmbedded(config, server?.superuserUrl ?? '', server?.facts as Credentials)
    return refusalOfFolder(config, url)
  },
  startHost: (config) =>
    hostOf(config)
      .start()
      .catch((error: Error) => {
        if (error instanceof HostError) throw error
        throw new StartError('host', `The apps can't be started: ${error.message}`)
      }),
  stopHost: (config) => hostOf(config).stop(),
}

async function replyTo({ id, step, args }: SetupRequest): Promise<SetupReply> {
  try {
    const work = steps[step] as (...args: unknown[]) => Promise<unknown>
    return { id, value: (await work(...args)) ?? null }
  } catch (error) {
    const { code = 'unknown', message, stack = '' } = error as Error & { code?: string }
    const isExpected = EXPECTED.some((kind) => error instanceof kind)
    return { id, error: { code, message, stack, isExpected } }
  }
}

let last: Promise<unknown> = Promise.resolve()
process.on('message', (request: SetupRequest) => {
  // One after the other, so that the apps are not ended while they are being started.
  last = last.then(async () => process.send?.(await replyTo(request)))
})
process.on('disconnect', () => process.exit(0))
