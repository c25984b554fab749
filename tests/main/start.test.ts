import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { statePaths } from '../../src/host/local/paths.ts'
import { supervisorState } from '../../src/host/local/statefiles.ts'
import { isAlive } from '../../src/system/childprocess.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProcess } from '../support/agent.ts'
import { administer, testDatabase, urlOf } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { settings, startWholeAgent, type WholeAgent } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { needs } from '../support/tools.ts'

const LIMIT_MS = 60_000
const onlyLinux = { skip: process.platform === 'linux' ? false : 'reads /proc' }

const started: WholeAgent[] = []
after(async () => {
  for (const { child, end } of started) if (child.exitCode === null && !child.signalCode) await end('SIGTERM')
})

const top = temporaryDirectory()
const dataDir = join(top, 'data')
const port = await freePort()

async function start(more: Record<string, string> = {}): Promise<WholeAgent> {
  const agent = startWholeAgent(dataDir, port, more)
  started.push(agent)
  await agent.up()
  return agent
}

const isReady = async (address: string) =>
  (await fetch(`${address}/readyz`).catch(() => null))?.ok ? true : undefined

async function assertReady(address: string): Promise<void> {
  assert.ok(await pollUntil(() => isReady(address), LIMIT_MS), `${address}/readyz is not 200`)
}

/** Returns the children of process `pid`, as a map from script name (such as "relay") to process id. */
async function childrenOf(pid: number | undefined): Promise<Map<string, number>> {
  const text = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(pid)], { encoding: 'utf8' })
  const found = [...text.matchAll(/^ *(\d+) .*?(?:main\/(\w+)\.ts|bin\/(postgres) )/gm)]
  return new Map(found.map(([, child, script, server]) => [script ?? server ?? '', Number(child)]))
}

const postmasterPid = async () =>
  Number.parseInt(await fs.readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8').catch(() => '0'), 10)

function psqlWith(given: Record<string, string>, ...args: string[]) {
  return startProcess('npm', ['run', '-s', 'psql', '--', ...args], { cwd: ROOT, env: settings(given) })
}

const psql = (...args: string[]) => psqlWith({ BLOUD_DATA_DIR: dataDir }, ...args)

test('psql before the first start names the command that starts the agent', needs('psql'), async () => {
  const agent = psql('-c', 'select 1')
  assert.equal(await agent.ended, 1)
  assert.match(agent.output(), /not running.*npm start/)
})

test('psql prints only the result for a script', needs('psql'), async (t) => {
  const database = await testDatabase('psql')
  t.after(database.drop)
  const env = settings({ DATABASE_URL: database.url })
  const args = [join(ROOT, 'src/main/psql.ts'), '-At', '-c', 'select 1']
  assert.equal(execFileSync(process.execPath, args, { env, encoding: 'utf8' }), '1\n')
})

test('the agent starts in an empty directory, and Ctrl-C stops all its processes', onlyLinux, async () => {
  const agent = await start()
  await assertReady(agent.address)
  const children = await childrenOf(agent.child.pid)
  assert.deepEqual([...children.keys()].sort().slice(0, 3), ['orchestrator', 'postgres', 'relay'])
  assert.equal(await agent.end('SIGINT'), 0)
  for (const [name, pid] of children) assert.equal(isAlive(pid), false, `${name} is still there`)
})

test(
  'a data directory that cannot be created is reported with the setting to change',
  onlyLinux,
  async () => {
    const file = join(top, 'file')
    await fs.writeFile(file, '')
    for (const path of [file, join(file, 'below'), '/proc/none', '/proc/none/below']) {
      const agent = startWholeAgent(path, port)
      assert.equal(await agent.ended, 1)
      assert.match(agent.output(), /can't be used for the data: E[A-Z]+.*\nSet BLOUD_DATA_DIR/)
      assert.doesNotMatch(agent.output(), / at /, 'a stack')
    }
  },
)

test('a second agent on the same data directory is refused, and the first keeps running', async () => {
  const agent = await start()
  const second = startWholeAgent(dataDir, await freePort())
  assert.equal(await second.ended, 1)
  assert.match(second.output(), new RegExp(`already runs with the data in .*process ${agent.child.pid}`))
  await assertReady(agent.address)
  assert.equal(await agent.end('SIGTERM'), 0)
})

test('psql connects as an operator, and its arguments contain no password', {
  ...needs('psql'),
}, async () => {
  const agent = await start()
  const session = psql('-AtXc', 'select current_user, current_database()')
  assert.equal(await session.ended, 0, session.output())
  assert.equal(session.output().trim(), 'bloud_psql|bloud_host_agent')
  const args = psql('-Xc', '\\! tr "\\0" " " < /proc/$PPID/cmdline')
  await args.ended
  assert.match(args.output(), /bloud_psql@127/)
  const failing = psql('-Xc', 'select nothing')
  assert.equal(await failing.ended, 1, 'the exit code of psql')
  await agent.end('SIGTERM')
})

test('a taken port is reported with the setting to change, and no process keeps running', async () => {
  const other: Server = createServer().listen(port, '127.0.0.1')
  try {
    const agent = startWholeAgent(dataDir, port)
    assert.equal(await agent.ended, 1)
    assert.match(agent.output(), new RegExp(`Port ${port} is used by another program.*BLOUD_PORT`))
    assert.equal(await postmasterPid(), 0)
  } finally {
    other.close()
  }
})

test('invalid settings are named in the error message', async () => {
  const agent = startWholeAgent(dataDir, port, { BLOUD_PORT: 'http', BLOUD_HOST_KIND: 'windows' })
  assert.equal(await agent.ended, 1)
  assert.match(agent.output(), /BLOUD_PORT.*\n.*BLOUD_HOST_KIND/)
})

test('an unreachable database of DATABASE_URL is reported without its password', async () => {
  const url = `postgresql://nobody:secret@127.0.0.1:${await freePort()}/none`
  const agent = startWholeAgent(dataDir, port, { DATABASE_URL: url })
  assert.equal(await agent.ended, 1)
  assert.match(agent.output(), /Can't connect to the database of DATABASE_URL: .*ECONNREFUSED/)
  assert.doesNotMatch(agent.output(), /secret/)
})

test(
  'the database of DATABASE_URL is migrated and used instead of the embedded one',
  needs('psql'),
  async () => {
    const name = `own_${process.pid}`
    await administer((client) => client.query(`create database ${name}`))
    const own = { BLOUD_DATA_DIR: join(top, 'own'), DATABASE_URL: urlOf(name) }
    const agent = await start(own)
    await assertReady(agent.address)
    assert.deepEqual((await fs.readdir(own.BLOUD_DATA_DIR)).includes('postgres'), false)
    const session = psqlWith(own, '-AtXc', 'select current_user, count(*) > 0 from bloud.catalog')
    assert.equal(await session.ended, 0, session.output())
    assert.equal(session.output().trim(), 'bloud_operator|t')
    assert.equal(await agent.end('SIGTERM'), 0)
    await administer((client) => client.query(`drop database ${name} with (force)`))
  },
)

test('a relay, an orchestrator or a database that is killed is restarted', onlyLinux, async () => {
  const agent = await start()
  const before = await childrenOf(agent.child.pid)
  for (const name of ['relay', 'orchestrator', 'postgres']) {
    process.kill(before.get(name) ?? 0, 'SIGKILL')
    const back = await pollUntil(async () => {
      const now = (await childrenOf(agent.child.pid)).get(name)
      return now && now !== before.get(name) ? now : undefined
    }, LIMIT_MS)
    assert.ok(back, `${name} did not come back`)
  }
  await assertReady(agent.address)
  assert.equal(await agent.end('SIGTERM'), 0)
})

test(
  'after a kill -9 of the agent only the database keeps running, and the next start adopts it',
  onlyLinux,
  async () => {
    const first = await start()
    const children = await childrenOf(first.child.pid)
    const server = await postmasterPid()
    await first.end('SIGKILL')
    for (const name of ['relay', 'orchestrator']) {
      const exited = await pollUntil(() => !isAlive(children.get(name) ?? 0), LIMIT_MS)
      assert.ok(exited, `${name} is still there`)
    }
    const second = await start()
    assert.equal(await postmasterPid(), server)
    await assertReady(second.address)
    assert.equal(await second.end('SIGTERM'), 0)
    assert.equal(isAlive(server), false)
  },
)

test('an agent whose process mark a power cut left empty starts, and its supervisor runs', async () => {
  const paths = statePaths(join(dataDir, 'host'))
  await fs.mkdir(paths.state, { recursive: true })
  await fs.writeFile(paths.mark, '')
  const agent = await start()
  assert.equal((await supervisorState(paths))?.ready, true)
  assert.match(await fs.readFile(paths.mark, 'utf8'), /^[0-9a-f-]{36}$/)
  await assertReady(agent.address)
  assert.equal(await agent.end('SIGTERM'), 0)
})

test('an agent whose supervisor can not start is not reported as running', async () => {
  const { mark } = statePaths(join(dataDir, 'host'))
  await fs.rm(mark, { force: true })
  await fs.mkdir(mark, { recursive: true })
  try {
    const agent = startWholeAgent(dataDir, port)
    assert.equal(await agent.ended, 1)
    assert.match(agent.output(), /The supervisor did not start within 20 s; its log is/)
    assert.doesNotMatch(agent.output(), /Bloud is running/)
  } finally {
    await fs.rm(mark, { recursive: true })
  }
})

test('Ctrl-C during the first start leaves no process running', onlyLinux, async () => {
  const emptyDir = join(top, 'fresh')
  const agent = startWholeAgent(emptyDir, port)
  const begun = () =>
    fs.access(join(emptyDir, 'database.json')).then(
      () => true,
      () => undefined,
    )
  assert.ok(await pollUntil(begun, LIMIT_MS))
  assert.equal(await agent.end('SIGINT'), 0)
  await assert.rejects(fs.access(join(emptyDir, 'postgres/postmaster.pid')))
})
