/** Tests of the HTTP server on a real standby server, before and after its promotion. */
import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { migrate } from '../../src/db/migration.ts'
import { createLogger } from '../../src/log.ts'
import { startRelayServer } from '../../src/main/relayserver.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { embedded, queryValue, withPostgres } from '../postgres/support.ts'
import { parseEvents } from '../relay/fakes.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { choosePostgresPort } from '../support/port.ts'
import { entry, lead, session } from '../support/sql.ts'

const LIMIT_MS = 90_000
const dataDir = join(temporaryDirectory(), 'data')
/** A standby can be read only if the WAL was written for standbys. */
const SETTINGS = { wal_level: 'replica', max_wal_senders: '1' }

/** Creates a database with an app in the catalog, and makes its server start as a standby the next time. */
async function prepareStandby(): Promise<void> {
  await choosePostgresPort(dataDir)
  const fill = async ({ superuserUrl }: { superuserUrl: string }) => {
    await migrate({ url: superuserUrl, log: createLogger('test', 'silent') })
    const client = await session(superuserUrl)
    await lead(client, [entry('alpha')])
    await client.end()
  }
  await withPostgres(dataDir, fill, SETTINGS)
  const [folder, signal] = [join(dataDir, 'postgres'), join(dataDir, 'postgres/standby.signal')]
  await fs.writeFile(signal, '')
  const { uid, gid } = await fs.stat(folder)
  await fs.chown(signal, uid, gid)
}

async function openStream(t: { after(fn: () => void): void }, address: string): Promise<() => string[]> {
  const abort = new AbortController()
  t.after(() => abort.abort())
  const { body } = await fetch(`${address}/api/events`, { signal: abort.signal })
  let text = ''
  const read = async () => {
    assert.ok(body)
    const pieces = body.pipeThrough(new TextDecoderStream())
    for await (const piece of pieces as unknown as AsyncIterable<string>) text += piece
  }
  read().catch(() => undefined)
  return () => parseEvents(text).map(({ event }) => event)
}

test('on a standby apps are shown, verbs are 503 and the stream is stale, until its promotion', async (t) => {
  await prepareStandby()
  const postgres = embedded(dataDir, SETTINGS)
  t.after(() => postgres.stop())
  const { superuserUrl } = await postgres.start()
  assert.equal(await queryValue(superuserUrl, 'select pg_is_in_recovery()'), 'true')
  const server = await startRelayServer({
    config: { port: 0, listen: '127.0.0.1', allowedHosts: [] },
    databaseUrl: superuserUrl,
    log: createLogger('test', 'silent'),
  })
  t.after(server.stop)
  const address = `http://127.0.0.1:${server.port}`
  const call = (verb: string) => fetch(`${address}/api/apps/alpha/${verb}`, { method: 'POST' })
  const install = () => call('install')
  const readOnly = async () => {
    const answer = await fetch(`${address}/readyz`)
    const { causes } = await answer.json()
    return [answer.status, causes.find(({ cause }: { cause: string }) => cause === 'read_only')?.sentence]
  }

  assert.equal((await (await fetch(`${address}/api/apps`)).json())[0].name, 'alpha')
  const refused = await install()
  assert.deepEqual([refused.status, (await refused.json()).code], [503, 'database_read_only'])
  assert.deepEqual(await readOnly(), [
    503,
    'The database accepts no changes, because it is a standby server.',
  ])
  const events = await openStream(t, address)
  assert.ok(await pollUntil(() => events().includes('stale'), LIMIT_MS), 'the stream is not stale')
  assert.ok(await pollUntil(() => events().includes('snapshot'), LIMIT_MS), 'there is no snapshot')

  assert.equal(await queryValue(superuserUrl, 'select pg_promote()'), 'true')
  assert.ok(
    await pollUntil(async () => (await install()).status === 202, LIMIT_MS),
    'install is still refused',
  )
  assert.ok(await pollUntil(() => events().includes('heartbeat'), LIMIT_MS), 'the stream is still stale')
  // The new epoch of a promoted server resets the stream, and the snapshot then includes earlier events.
  const changed = async () => {
    await call('cancel')
    await install()
    return events().includes('app')
  }
  assert.ok(await pollUntil(changed, LIMIT_MS), 'no event arrives')
  assert.ok(await pollUntil(async () => (await readOnly())[1] === undefined, LIMIT_MS), 'still read-only')
})
