/**
 * Tests of a database server that is replaced by a standby without the newest events. The standby appends
 * other events before the relay reads again, so the numbers of the lost events are used again.
 */
import assert from 'node:assert/strict'
import { cpSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type pg from 'pg'
import { migrate } from '../../src/db/migration.ts'
import { createLogger } from '../../src/log.ts'
import { startRelayServer } from '../../src/main/relayserver.ts'
import { copiedBinaries, installedBinaries } from '../../src/postgres/binaries.ts'
import { serverUser } from '../../src/postgres/serveruser.ts'
import { run } from '../../src/system/childprocess.ts'
import { isRoot } from '../../src/system/systemuser.ts'
import { openStream } from '../http/support.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { freePort } from '../support/port.ts'
import { type SystemServer, startOn, startServer } from '../support/postgres-server.ts'
import { entry, lead, session, value } from '../support/sql.ts'
import { until } from './fakes.ts'

const COPY_LIMIT_MS = 60_000

async function programs(): Promise<string> {
  const installed = await installedBinaries()
  return join((isRoot() ? await copiedBinaries(installed) : installed).directory, 'bin')
}

/** Creates a standby that has everything that the server has now, and starts the server again. */
async function makeStandby(
  bin: string,
  server: SystemServer,
): Promise<{ server: SystemServer; copy: string }> {
  const copy = join(dirname(server.data), 'standby')
  await server.stop()
  cpSync(server.data, copy, { recursive: true, preserveTimestamps: true })
  writeFileSync(join(copy, 'standby.signal'), '')
  const user = await serverUser()
  if (user) await run('chown', ['-R', `${user.uid}:${user.gid}`, copy], { limitMs: COPY_LIMIT_MS })
  await run('chmod', ['700', copy], { limitMs: COPY_LIMIT_MS })
  return { server: await startOn(bin, server.data, server.port), copy }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await session(url)
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function startRelay(t: TestContext, url: string) {
  const started = startRelayServer({
    config: { port: 0, listen: '127.0.0.1', allowedHosts: [] },
    databaseUrl: url,
    log: createLogger('test', 'silent'),
  })
  t.after(async () => (await started).stop())
  return started.then(({ port }) => `http://127.0.0.1:${port}`)
}

/** Starts a server whose history has one event, and a standby with the same history. */
async function primaryWithStandby(t: TestContext) {
  const bin = await programs()
  const first = await startServer(bin, temporaryDirectory())
  let running = first
  t.after(() => running.stop())
  const { url } = first
  await migrate({ url, log: { info() {} } })
  await withClient(url, async (client) => {
    await lead(client, [entry('alpha'), entry('beta'), entry('gamma')])
    await client.query("select bloud.install('alpha')")
  })
  const { server, copy } = await makeStandby(bin, first)
  running = server
  return {
    url,
    request: (app: string) => withClient(url, (client) => client.query('select bloud.install($1)', [app])),
    /**
     * Ends the primary as a crash does, and promotes the standby. A verb is called before any other session
     * can reach the new primary.
     */
    async failOver(app: string): Promise<void> {
      await running.crash()
      const standby = await startOn(bin, copy, await freePort())
      running = standby
      await withClient(standby.url, async (client) => {
        assert.equal(await value(client, 'select pg_promote()'), true)
        await client.query('select bloud.install($1)', [app])
      })
      await standby.stop()
      running = await startOn(bin, copy, first.port)
    },
  }
}

const appsOf = (data: unknown): string[] =>
  (data as { apps: { name: string }[] }).apps.map(({ name }) => name)

test('after a failover that lost events, clients receive a reset and the status of the new server', async (t) => {
  const database = await primaryWithStandby(t)
  const address = await startRelay(t, database.url)
  const stream = await openStream(t, `${address}/api/events`, {})
  await stream.until(() => stream.named('snapshot').length === 1)
  await database.request('beta')
  await stream.until(() => stream.named('app').length === 1)
  const lost = stream.named('app')[0]?.id as string

  await database.failOver('gamma')
  await stream.until(() => stream.named('reset').length === 1)
  await stream.until(() => stream.named('snapshot').length === 2)
  assert.deepEqual(appsOf(stream.named('snapshot')[1]?.data), ['alpha', 'gamma'])
  assert.notEqual(stream.named('snapshot')[1]?.id?.split('.')[0], lost.split('.')[0], 'the same epoch')

  const resumed = await openStream(t, `${address}/api/events`, { 'last-event-id': lost })
  await resumed.until(() => resumed.named('reset').length === 1)
  const poll = await (await fetch(`${address}/api/events?after=${lost}`)).json()
  assert.equal(poll.reset, 'unknown_epoch')
})

test('a relay that starts after the failover gives no client events of the lost history', async (t) => {
  const database = await primaryWithStandby(t)
  const before = await startRelayServer({
    config: { port: 0, listen: '127.0.0.1', allowedHosts: [] },
    databaseUrl: database.url,
    log: createLogger('test', 'silent'),
  })
  const stream = await openStream(t, `http://127.0.0.1:${before.port}/api/events`, {})
  await stream.until(() => stream.named('snapshot').length === 1)
  await database.request('beta')
  await stream.until(() => stream.named('app').length === 1)
  const lost = stream.named('app')[0]?.id as string
  await before.stop()

  await database.failOver('gamma')
  const address = await startRelay(t, database.url)
  const resumed = await openStream(t, `${address}/api/events`, { 'last-event-id': lost })
  await resumed.until(() => resumed.named('reset').length === 1 && resumed.named('snapshot').length === 1)
  assert.deepEqual(appsOf(resumed.named('snapshot')[0]?.data), ['alpha', 'gamma'])
})

test('a restart of the same server gives no reset', async (t) => {
  const database = await primaryWithStandby(t)
  const address = await startRelay(t, database.url)
  const stream = await openStream(t, `${address}/api/events`, {})
  await stream.until(() => stream.named('snapshot').length === 1)
  await withClient(database.url, (client) =>
    client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ '^bloud-relay'",
    ),
  )
  await database.request('beta')
  await until(() => stream.named('app').length === 1)
  assert.equal(stream.named('reset').length, 0)
})
