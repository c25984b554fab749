/** Command `npm run migrate`: migrates the database in DATABASE_URL to the schema of this program version. */

import { hideEnvironment } from '../config/childenvironment.ts'
import { readConfig } from '../config.ts'
import { migrate } from '../db/migration.ts'

async function main(): Promise<void> {
  const { databaseUrl } = readConfig()
  hideEnvironment()
  if (!databaseUrl)
    throw new Error('DATABASE_URL is not set. "npm start" migrates the embedded database itself.')
  await migrate({ url: databaseUrl, log: { info: (line) => console.log(line) } })
  console.log('The schema is up to date.')
}

await main().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
