/**
 * Command `npm run db:backup [file]`: saves the agent's database schema `bloud` to a file with pg_dump. The
 * agent may run at the same time.
 */
import { chmod, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { callerDirectory } from '../config/childenvironment.ts'
import { databaseState } from '../db/restore.ts'
import { chooseClient, clientProgram, installedClients } from '../postgres/clientprograms.ts'
import { makeDirectory, publishFile } from '../system/atomicfile.ts'
import { run } from '../system/childprocess.ts'
import { giveToFolderOwner } from '../system/systemuser.ts'
import { type ClientArguments, reachDatabase, withClientArguments } from './databaseaccess.ts'
import { StartError } from './starterror.ts'

/**
 * Upper limit of the duration of pg_dump, in ms. A backup has a size of megabytes, so only a failing disk or
 * a blocked table needs more time.
 */
const DUMP_LIMIT_MS = 30 * 60_000
const OWNER_ONLY = 0o077

async function dump({ target, env }: ClientArguments, serverMajor: number, file: string): Promise<void> {
  const client = chooseClient(await installedClients(env), serverMajor)
  await makeDirectory(dirname(file), 0o700)
  const unfinished = `${file}.unfinished`
  const args = [
    `--dbname=${target}`,
    '--format=custom',
    '--schema=bloud',
    '--role=bloud_owner',
    '--no-password',
  ]
  try {
    const { code, output } = await run(clientProgram(client, 'pg_dump'), [...args, `--file=${unfinished}`], {
      env,
      limitMs: DUMP_LIMIT_MS,
    })
    if (code !== 0) throw new StartError('backup_failed', `pg_dump could not make the backup:\n${output}`)
    await chmod(unfinished, 0o600)
    await publishFile(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
}

async function main(given: string | undefined): Promise<void> {
  process.umask(OWNER_ONLY)
  const { url, config } = await reachDatabase('superuser')
  const name = `bloud-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.dump`
  // A relative path refers to the directory in which the operator ran npm (INIT_CWD), because npm itself
  // changes to the folder of package.json.
  const file = given ? resolve(callerDirectory(), given) : join(config.dataDir, 'backups', name)
  const { serverMajor } = await databaseState(url)
  await withClientArguments(url, {}, (client) => dump(client, serverMajor, file))
  if (!given) for (const path of [dirname(file), file]) await giveToFolderOwner(path)
  console.log(`Saved in ${file}`)
}

await main(process.argv[2]).catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
