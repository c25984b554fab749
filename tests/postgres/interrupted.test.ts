import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import pg from 'pg'
import { createLogger } from '../../src/log.ts'
import { createEmbeddedPostgres, readCredentials } from '../../src/postgres/embedded.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { choosePostgresPort } from '../support/port.ts'

const top = temporaryDirectory()
const complete = join(top, 'complete')

const embedded = (dataDir: string) =>
  createEmbeddedPostgres({ dataDir, log: createLogger('test', 'silent'), settings: { fsync: 'off' } })

async function start(dataDir: string): Promise<string> {
  const postgres = embedded(dataDir)
  try {
    const { superuserUrl } = await postgres.start()
    const client = new pg.Client({ connectionString: superuserUrl })
    await client.connect()
    const { rows } = await client.query('select count(*)::text as n from pg_database')
    await client.end()
    return rows[0].n
  } finally {
    await postgres.stop()
  }
}

/** Copies a complete data directory that contains no database of the agent yet. */
async function copy(name: string): Promise<string> {
  await fs.cp(complete, join(top, name), { recursive: true, preserveTimestamps: true })
  return join(top, name)
}

const emptyAll = async (dir: string) => {
  for (const entry of await fs.readdir(dir, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) await fs.truncate(join(entry.parentPath, entry.name))
}

/** States in which a power cut during the first start can leave the data directory. */
const STATES: Record<string, (dataDir: string) => Promise<unknown>> = {
  'the passwords are empty': (dataDir) => fs.writeFile(join(dataDir, 'database.json'), ''),
  'the folder of the database is empty': (dataDir) => fs.mkdir(join(dataDir, 'postgres')),
  'the passwords are half written and the database is empty': async (dataDir) => {
    await fs.writeFile(join(dataDir, 'database.json'), '{"version":')
    await fs.mkdir(join(dataDir, 'postgres'))
  },
}

before(async () => {
  await choosePostgresPort(complete)
  await start(complete)
})

for (const [state, make] of Object.entries(STATES)) {
  test(`a first start that was interrupted is begun anew: ${state}`, async () => {
    const dataDir = join(top, state.replaceAll(' ', '-'))
    await fs.mkdir(dataDir)
    await make(dataDir)
    assert.equal(await start(dataDir), '3')
    assert.ok(await readCredentials(dataDir))
    assert.equal(await start(dataDir), '3')
  })
}

test('a database whose files are empty is made anew if it never contained apps', async () => {
  const dataDir = await copy('all-empty')
  await emptyAll(join(dataDir, 'postgres'))
  assert.equal(await start(dataDir), '3')
  const control = await copy('no-control')
  await fs.rm(join(control, 'postgres/global/pg_control'))
  assert.equal(await start(control), '3')
  assert.deepEqual((await fs.readdir(control)).sort(), ['database.json', 'logs', 'postgres'])
})

test('a damaged database that contains apps is refused with instructions, and not deleted', async () => {
  const dataDir = await copy('with-apps')
  await fs.mkdir(join(dataDir, 'postgres/base/16384'))
  await fs.truncate(join(dataDir, 'postgres/PG_VERSION'))
  await assert.rejects(embedded(dataDir).start(), { code: 'cluster_damaged', message: /backup/ })
  assert.ok(await fs.stat(join(dataDir, 'postgres/base/16384')))
})
