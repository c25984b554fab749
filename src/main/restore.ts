/**
 * Command `npm run db:restore <file> [--while-running]`: replaces the agent's database schema `bloud` by a
 * backup, in one transaction. Connected browsers then receive the restored status of all apps.
 */
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { callerDirectory, clientEnvironment } from '../config/childenvironment.ts'
import { createRoles, migrate } from '../db/migration.ts'
import { keepPairing, storedPairing } from '../db/pairing.ts'
import {
  AFTER_RESTORE,
  BEFORE_RESTORE,
  databaseState,
  refuseNewerBackup,
  withoutNewSettings,
} from '../db/restore.ts'
import {
  chooseClient,
  clientProgram,
  installedClients,
  type PostgresClient,
} from '../postgres/clientprograms.ts'
import { run } from '../system/childprocess.ts'
import { reachDatabase, withClientArguments } from './databaseaccess.ts'
import { StartError } from './starterror.ts'

/** Upper limit of the duration of pg_restore and of psql, in ms. */
const RESTORE_LIMIT_MS = 30 * 60_000
const WHILE_RUNNING = '--while-running'
const USAGE = `Name the backup: npm run db:restore -- <file> [${WHILE_RUNNING}]`

async function runProgram(path: string, args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { code, output } = await run(path, args, { env, limitMs: RESTORE_LIMIT_MS })
  if (code === 0) return output
  throw new StartError('restore_failed', `Nothing was changed. ${output}`)
}

/**
 * Writes three SQL files to `folder`: the statements of the backup, and statements to run before and after
 * it. Returns the arguments with which psql runs these files.
 */
async function writeScripts(
  client: PostgresClient,
  serverMajor: number,
  file: string,
  folder: string,
): Promise<string[]> {
  const env = clientEnvironment()
  const restore = (...args: string[]) =>
    runProgram(clientProgram(client, 'pg_restore'), ['--no-owner', ...args, file], env)
  await refuseNewerBackup(await restore('--data-only', '--schema=bloud', '--table=migrations', '--file=-'))
  const [before, backup, after] = ['before.sql', 'backup.sql', 'after.sql'].map((name) => join(folder, name))
  await writeFile(`${before}`, BEFORE_RESTORE)
  await restore(`--file=${backup}`)
  if (client.major > serverMajor) {
    await writeFile(`${backup}`, withoutNewSettings(await readFile(`${backup}`, 'utf8')))
  }
  await writeFile(`${after}`, AFTER_RESTORE)
  return [`--file=${before}`, `--file=${backup}`, `--file=${after}`]
}

async function restoreInto(url: string, file: string, serverMajor: number): Promise<void> {
  const client = chooseClient(await installedClients(clientEnvironment()), serverMajor)
  const folder = await mkdtemp(join(tmpdir(), 'bloud-restore-'))
  try {
    const scripts = await writeScripts(client, serverMajor, file, folder)
    await createRoles(url)
    const args = ['--no-psqlrc', '--quiet', '--single-transaction', '--set=ON_ERROR_STOP=1', '--no-password']
    const psql = clientProgram(client, 'psql')
    await withClientArguments(url, { PGOPTIONS: '-c client_min_messages=warning' }, ({ target, env }) =>
      runProgram(psql, [...args, '--output=/dev/null', `--dbname=${target}`, ...scripts], env),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function main(args: string[]): Promise<void> {
  process.umask(0o077)
  const [given, ...rest] = args.filter((arg) => arg !== WHILE_RUNNING)
  if (!given || rest.length > 0) throw new StartError('usage', USAGE)
  const file = resolve(callerDirectory(), given)
  await access(file).catch(() => {
    throw new StartError('no_file', `The file ${file} does not exist.`)
  })
  const { url } = await reachDatabase('superuser')
  const { serverMajor, processes } = await databaseState(url)
  if (processes.length > 0 && !args.includes(WHILE_RUNNING)) {
    throw new StartError(
      'running',
      `The agent is running (${processes.join(', ')}). Stop it, or add ${WHILE_RUNNING}. ` +
        'The agent then waits until the backup is restored and continues with its content.',
    )
  }
  const pairing = await storedPairing(url)
  await restoreInto(url, file, serverMajor)
  await migrate({ url, log: { info: (line) => console.log(line) } })
  // A backup can have the data folder of another machine, or none if an earlier version made it.
  if (pairing) await keepPairing(url, pairing)
  console.log(`Restored from ${file}`)
}

await main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
