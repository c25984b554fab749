/**
 * Tests that one database and one data folder belong together: an orchestrator with another folder, or with
 * the folder of another database, is refused until `npm run adopt` pairs the two.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chown, copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProcess, type TestProcess } from '../support/agent.ts'
import { testDatabase } from '../support/cluster.ts'
import { type Home, makeHome } from '../support/home.ts'
import { settings, startWholeAgent } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { session, transitionsOf, value } from '../support/sql.ts'

const LIMIT_MS = 90_000
const REFUSED = /npm run adopt/

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bloud-folder-'))
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}

/** Starts a program of `src/main` with another data folder than that of the home server. */
function startWith(
  t: TestContext,
  home: Home,
  dataDir: string,
  name: string,
  more: Record<string, string> = {},
): TestProcess {
  const env = settings({
    DATABASE_URL: home.database.urlFor('bloud_orchestrator'),
    BLOUD_DATA_DIR: dataDir,
    BLOUD_CATALOG_DIR: join(home.dataDir, 'catalog'),
    ...more,
  })
  const agent = startProcess(process.execPath, [join(ROOT, `src/main/${name}.ts`)], { env })
  t.after(async () => {
    if (agent.child.exitCode === null && !agent.child.signalCode) await agent.end('SIGTERM')
  })
  return agent
}

const attempt = (home: Home) => value(home.sql, 'select attempt from bloud.lease')

/** Creates a home server with one running app, whose orchestrator has ended. */
async function usedHome(t: TestContext): Promise<Home> {
  const home = await makeHome(t)
  await home.addApp('first')
  await home.addApp('second')
  const agent = await home.orchestrator()
  await home.sql.query("select bloud.install('first')")
  await home.until('first', 'running')
  await agent.end('SIGTERM')
  return home
}

test('a second machine is refused, changes nothing, and works after npm run adopt', async (t) => {
  const home = await usedHome(t)
  const other = await folder(t)
  const before = await attempt(home)
  const second = startWith(t, home, other, 'orchestrator')
  await second.waitFor(REFUSED)
  await home.sql.query("select bloud.install('second')")
  const relay = await home.relay()
  const ready = await pollUntil(async () => {
    const response = await fetch(`${relay.address}/readyz`)
    const text = await response.text()
    return response.status === 503 && REFUSED.test(text) && text
  }, LIMIT_MS)
  assert.ok(ready, 'readyz has the sentence')
  const why = await value<string>(
    home.sql,
    "select string_agg(answer, ' ') from bloud.why('second') where question = 'other folder'",
  )
  assert.match(why, REFUSED)
  assert.equal(await attempt(home), before, 'the lease was never taken')
  assert.deepEqual(await home.transitionsOf('second'), ['→queued'])
  assert.deepEqual(
    (await readdir(other)).filter((name) => name !== 'pairing.json'),
    [],
    'the refused agent has no supervisor, no store and no runs',
  )

  const adopted = startWith(t, home, other, 'adopt')
  assert.equal(await adopted.ended, 0, adopted.output())
  await home.until('second', 'running')
  const first = startWith(t, home, home.dataDir, 'orchestrator')
  await first.waitFor(REFUSED)
})

test('an orchestrator that works is stopped by an adoption elsewhere', async (t) => {
  const home = await makeHome(t)
  await home.addApp('first')
  const agent = await home.orchestrator()
  const other = await folder(t)
  assert.equal(await startWith(t, home, other, 'adopt').ended, 0)
  await agent.waitFor(REFUSED)
})

test('an emptied data folder and the folder of another database are refused', async (t) => {
  const home = await usedHome(t)
  const kept = join(home.dataDir, 'kept')
  await mkdir(kept)
  await rename(join(home.dataDir, 'pairing.json'), join(kept, 'pairing.json'))
  const emptied = startWith(t, home, home.dataDir, 'orchestrator')
  await emptied.waitFor(REFUSED)
  await emptied.end('SIGTERM')
  await rename(join(kept, 'pairing.json'), join(home.dataDir, 'pairing.json'))

  const fresh = await testDatabase('fresh')
  t.after(fresh.drop)
  const swapped = startWith(t, home, home.dataDir, 'orchestrator', {
    DATABASE_URL: fresh.urlFor('bloud_orchestrator'),
  })
  await swapped.waitFor(/standing by: The data folder of .* belongs to another database\. .*npm run adopt/)
  assert.doesNotMatch(swapped.output(), /lease could not be taken/)
  await swapped.end('SIGTERM')

  const again = startWith(t, home, home.dataDir, 'orchestrator')
  await again.waitFor(/catalog is up to date/)
})

test('npm start on a second machine prints the sentence, serves it, and starts nothing', async (t) => {
  const home = await usedHome(t)
  const other = await folder(t)
  const agent = startWholeAgent(other, await freePort(), {
    DATABASE_URL: home.database.superuserUrl,
    BLOUD_CATALOG_DIR: join(home.dataDir, 'catalog'),
  })
  t.after(async () => {
    if (agent.child.exitCode === null) await agent.end('SIGTERM')
  })
  await agent.waitFor(REFUSED)
  await agent.up()
  const response = await fetch(`${agent.address}/readyz`)
  assert.equal(response.status, 503)
  assert.match(await response.text(), REFUSED)
  assert.equal(existsSync(join(other, 'host')), false, 'the refused agent runs apps')
  const owner = await home.orchestrator()
  assert.equal(await pollUntil(async () => (await fetch(`${agent.address}/readyz`)).ok, 0), null)
  assert.equal(await owner.end('SIGTERM'), 0)
})

test('a used data folder builds what a new database requests, although the numbers of its rebuilds repeat', async (t) => {
  const home = await usedHome(t)
  const fresh = await testDatabase('fresh')
  t.after(fresh.drop)
  const url = { DATABASE_URL: fresh.urlFor('bloud_orchestrator') }
  const adopted = startWith(t, home, home.dataDir, 'adopt', url)
  assert.equal(await adopted.ended, 0, adopted.output())
  const agent = startWith(t, home, home.dataDir, 'orchestrator', url)
  await agent.waitFor(/catalog is up to date/)
  const sql = await session(fresh.url)
  t.after(() => sql.end())
  await sql.query("select bloud.install('second')")
  const ended = await pollUntil(async () => {
    const { rows } = await sql.query("select status from bloud.apps where name = 'second'")
    return ['running', 'failed', 'error'].includes(rows[0]?.status) && rows[0].status
  }, LIMIT_MS)
  assert.equal(ended, 'running', JSON.stringify(await transitionsOf(sql, 'second')))
  assert.equal(await value(sql, 'select id::text from bloud.rebuilds'), '1', 'the number is used again')
})

test('a copy of the data folder does not take the lease while the original works', async (t) => {
  const home = await makeHome(t)
  await home.addApp('first')
  const original = await home.orchestrator()
  const copy = await folder(t)
  await copyFile(join(home.dataDir, 'pairing.json'), join(copy, 'pairing.json'))
  const before = await attempt(home)
  const second = startWith(t, home, copy, 'orchestrator')
  await second.waitFor(/standing by: another worker holds the lease/)
  assert.equal(await attempt(home), before)
  assert.equal(await original.end('SIGTERM'), 0)
  await second.waitFor(/lease acquired/)
})

test('a host that can not start is a cause of its own, which is logged once', async (t) => {
  const home = await makeHome(t)
  const path = join(home.dataDir, 'host')
  await writeFile(path, 'a file in the place of the folder')
  const agent = startWith(t, home, home.dataDir, 'orchestrator')
  await home.untilTrue("select exists (select from bloud.readiness() where cause = 'host')")
  const { rows } = await home.sql.query('select cause, sentence from bloud.readiness()')
  assert.deepEqual(
    rows.map(({ cause }) => cause),
    ['host'],
  )
  assert.match(rows[0].sentence, /^The apps can't be started: E[A-Z]+/)
  assert.equal(agent.output().match(/can't be started/g)?.length, 1, agent.output())
  await rm(path)
  await agent.waitFor(/lease acquired/)
  await home.untilTrue('select not exists (select from bloud.readiness())')
})

const onlyRoot = { skip: process.getuid?.() === 0 ? false : 'only root can change the owner' }

test("npm run adopt as root leaves the folder's files to its owner", onlyRoot, async (t) => {
  const home = await makeHome(t)
  const other = await folder(t)
  await chown(other, 54_321, 54_322)
  const adopting = startWith(t, home, other, 'adopt')
  assert.equal(await adopting.ended, 0, adopting.output())
  assert.equal((await stat(join(other, 'pairing.json'))).uid, 54_321)
})
