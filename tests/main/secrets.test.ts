import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { ROOT } from '../../src/config.ts'
import { readCredentials } from '../../src/postgres/embedded.ts'
import { startProcess } from '../support/agent.ts'
import { administer, testDatabase } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { until } from '../support/local-host.ts'
import { settings, startWholeAgent } from '../support/npmstart.ts'
import { letInstall, makeApp, makePackage } from '../support/packages.ts'
import { freePort } from '../support/port.ts'
import { needs } from '../support/tools.ts'

const onlyLinux = { skip: process.platform === 'linux' ? false : 'reads /proc' }
const SENTINEL = 'sentinel-of-the-person-4d1f'
const PASSWORD = 'sentinel-password-93ab'
const top = temporaryDirectory()

/** Returns the processes whose environment or arguments contain one of the texts. */
async function holdersOf(...texts: string[]): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = pids.map(async (pid) => {
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
    const [command, environment] = [await read('cmdline'), await read('environ')]
    const held = texts.filter((text) => command.includes(text) || environment.includes(text))
    return held.map((text) => `${command.replaceAll('\0', ' ')}has ${text}`)
  })
  return (await Promise.all(found)).flat()
}

async function installSlowApp(t: Parameters<typeof startWholeAgent>[0], port: number, more: object) {
  const folder = join(top, t)
  const [catalog, packages] = [join(folder, 'catalog'), join(folder, 'packages')]
  await mkdir(catalog, { recursive: true })
  const spec = await makePackage(packages, { name: 'slow', behaviour: 'slow-install' })
  const app = makeApp('slow', await freePort(), spec)
  await writeFile(join(catalog, 'slow.yaml'), stringify(app))
  const agent = startWholeAgent(join(folder, 'data'), port, { BLOUD_CATALOG_DIR: catalog, ...more })
  await agent.up()
  await until('the catalog is read', async () => (await fetch(`${agent.address}/api/apps/slow`)).ok)
  await fetch(`${agent.address}/api/apps/slow/install`, { method: 'POST' })
  const log = async () => (await fetch(`${agent.address}/api/operations/1/log`)).text()
  await until('npm is at work', async () => (await log()).includes('preinstall is waiting'))
  return { ...agent, packages, app, dataDir: join(folder, 'data') }
}

async function untilRunning(address: string): Promise<void> {
  await until('the app runs', async () => {
    const apps = (await (await fetch(`${address}/api/apps/installed`)).json()) as { status: string }[]
    return apps[0]?.status === 'running'
  })
}

test('no process holds the password of the database or foreign variables', onlyLinux, async (t) => {
  const database = await testDatabase('secrets')
  const login = `secrets_${process.pid}`
  await administer((client) => client.query(`create role ${login} superuser login password '${PASSWORD}'`))
  t.after(async () => {
    await database.drop()
    await administer((client) => client.query(`drop role ${login}`))
  })
  const url = new URL(database.url)
  Object.assign(url, { username: login, password: PASSWORD })
  const withoutPassword = new URL(url)
  withoutPassword.password = ''
  const port = await freePort()
  const given = { SENTINEL, DATABASE_URL: url.href }
  const agent = await installSlowApp('external', port, given)
  t.after(() => agent.end('SIGTERM'))
  assert.deepEqual(await holdersOf(SENTINEL, PASSWORD), [])
  await letInstall(agent.packages, 'slow')
  await untilRunning(agent.address)
  assert.deepEqual(await holdersOf(SENTINEL, PASSWORD), [])
  assert.equal(await agent.end('SIGTERM'), 0)

  const more = { SENTINEL, DATABASE_URL: withoutPassword.href, PGPASSWORD: PASSWORD }
  const second = startWholeAgent(agent.dataDir, port, more)
  t.after(() => second.end('SIGTERM'))
  await second.up()
  await untilRunning(second.address)
  assert.deepEqual(await holdersOf(SENTINEL, PASSWORD), [])
})

test('no process holds a password of the embedded database', onlyLinux, async (t) => {
  const agent = await installSlowApp('embedded', await freePort(), { SENTINEL })
  t.after(() => agent.end('SIGTERM'))
  const facts = await readCredentials(agent.dataDir)
  assert.ok(facts)
  const passwords = [facts.superuserPassword, ...Object.values(facts.rolePasswords)]
  assert.deepEqual(await holdersOf(SENTINEL, ...passwords), [])
  await letInstall(agent.packages, 'slow')
  await untilRunning(agent.address)
  assert.deepEqual(await holdersOf(SENTINEL, ...passwords), [])
})

test('psql gets the variables of the terminal, but no password', needs('psql'), async (t) => {
  const agent = startWholeAgent(join(top, 'embedded', 'data'), await freePort())
  t.after(() => agent.end('SIGTERM'))
  await agent.up()
  const env = settings({ BLOUD_DATA_DIR: join(top, 'embedded', 'data'), SENTINEL, TERM: 'vt220' })
  const again = '\\connect'
  const args = ['-At', '-c', again, '-c', "select 'connected'", '-c', '\\! env']
  const psql = startProcess(process.execPath, [join(ROOT, 'src/main/psql.ts'), ...args], { env })
  assert.equal(await psql.ended, 0, psql.output())
  assert.match(psql.output(), /^connected$/m)
  assert.match(psql.output(), /^TERM=vt220$/m)
  const facts = await readCredentials(join(top, 'embedded', 'data'))
  for (const secret of [SENTINEL, ...Object.values(facts?.rolePasswords ?? {})])
    assert.ok(!psql.output().includes(secret))
})
