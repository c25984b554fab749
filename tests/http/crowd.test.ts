/** Tests that many HTTP requests at once are served, or refused with the time to wait. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { makeHome } from '../support/home.ts'

const CROWD = 1_000
/** The readiness also depends on the orchestrator, which does not run here. */
const READINESS = '/readyz'
const APPS = ['alpha', 'beta', 'gamma']
type Agent = Awaited<ReturnType<typeof startAgent>>
/** Statuses of a verb that was answered by the database. 409 means that the app is locked by another verb. */
const ANSWERED = [200, 202, 409]

/** Starts the relay as a process of its own, because the crowd needs much of the processor. */
async function startAgent(t: TestContext) {
  const home = await makeHome(t)
  for (const name of APPS) await home.addApp(name)
  const worker = await home.orchestrator()
  await worker.end('SIGTERM')
  const { address } = await home.relay()
  const agent = {
    admin: home.sql,
    get: (path: string) => fetch(address + path),
    post: (path: string) => fetch(address + path, { method: 'POST' }),
  }
  assert.equal((await agent.get('/api/apps')).status, 200)
  return agent
}

interface Crowd {
  statuses: Map<number, number>
  texts: Set<string>
}

/** Sends the requests at once. Returns the number of replies by status, after a check of each refusal. */
async function crowd(send: (index: number) => Promise<Response>): Promise<Crowd> {
  const [statuses, texts] = [new Map<number, number>(), new Set<string>()]
  const one = async (index: number) => {
    const answer = await send(index)
    const text = await answer.text()
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    if (ANSWERED.includes(answer.status)) return
    texts.add(`${answer.status} ${text}`)
    if (answer.status !== 429) return
    assert.equal(JSON.parse(text).code, 'too_many_requests')
    assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  }
  await Promise.all(Array.from({ length: CROWD }, (_, index) => one(index)))
  return { statuses, texts }
}

/** Reads the paths again and again until `over` is true. Returns all replies that are not 200. */
async function readUntil(agent: Agent, over: () => boolean, paths: string[]): Promise<string[]> {
  const failed: string[] = []
  do {
    for (const path of paths) {
      const answer = await agent.get(path)
      const text = await answer.text()
      const isReady = path === READINESS && JSON.parse(text).database === 'ok'
      if (answer.status !== 200 && !isReady) failed.push(`${path} ${answer.status} ${text}`)
    }
  } while (!over())
  return failed
}

test('of 1,000 verbs at once none meets a missing database, and reads and readiness go on', async (t) => {
  const agent = await startAgent(t)
  let over = false
  const reads = readUntil(agent, () => over, [READINESS, '/api/apps', '/api/status', '/'])
  const { statuses, texts } = await crowd((index) =>
    agent.post(`/api/apps/${APPS[index % APPS.length]}/${index % 2 ? 'install' : 'cancel'}`),
  )
  over = true
  assert.deepEqual(await reads, [])
  const others = [...statuses.keys()].filter((status) => ![...ANSWERED, 404, 429].includes(status))
  assert.deepEqual(others, [], [...texts].join('\n'))
  assert.ok((statuses.get(202) ?? 0) > 0)
  assert.ok([200, 202, 409].includes((await agent.post('/api/apps/alpha/install')).status))
})

test('verbs that wait for a lock leave reads and readiness alone, and too many are refused', async (t) => {
  const agent = await startAgent(t)
  await agent.admin.query('begin')
  await agent.admin.query("select bloud.install('alpha')")
  let over = false
  const reads = readUntil(agent, () => over, [READINESS, '/api/apps', '/api/apps/alpha'])
  const { statuses, texts } = await crowd(() => agent.post('/api/apps/alpha/install'))
  over = true
  await agent.admin.query('rollback')
  assert.deepEqual(await reads, [])
  assert.deepEqual([...statuses.keys()].sort(), [409, 429], [...texts].join('\n'))
  assert.equal((await agent.post('/api/apps/alpha/install')).status, 202)
})

test('of 1,000 reads at once none meets a missing database, and verbs and readiness go on', async (t) => {
  const agent = await startAgent(t)
  let over = false
  const others = readUntil(agent, () => over, [READINESS])
  const { statuses, texts } = await crowd((index) => agent.get(`/api/apps/${APPS[index % APPS.length]}`))
  over = true
  assert.deepEqual(await others, [])
  assert.deepEqual(
    [...statuses.keys()].filter((status) => ![200, 429].includes(status)),
    [],
    [...texts].join(),
  )
  assert.equal((await agent.post('/api/apps/alpha/install')).status, 202)
})
