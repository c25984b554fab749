/**
 * Command `npm run adopt`: pairs the database with the data folder of this machine, for example on new
 * hardware. The orchestrator of the former data folder is refused from now on.
 */
import { hostname } from 'node:os'
import { adopt } from '../db/pairing.ts'
import { urlAsRole } from '../db/url.ts'
import { ensureIdentity, storeIdentity } from '../orchestrator/identity.ts'
import { giveToFolderOwner } from '../system/systemuser.ts'
import { reachDatabase } from './databaseaccess.ts'

const ROLE = 'bloud_orchestrator'

async function main(): Promise<void> {
  process.umask(0o077)
  const { url, config } = await reachDatabase(ROLE, (given) => urlAsRole(given, ROLE))
  const { folder } = await ensureIdentity(config.pairingFile)
  const database = await adopt(url, folder, hostname())
  await storeIdentity(config.pairingFile, { folder, database })
  await giveToFolderOwner(config.pairingFile)
  console.log(`The database and the data in ${config.dataDir} belong together from now on.`)
}

await main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
