/**
 * Tests that third-party clients of the event stream receive every status change once and in order, even if
 * the connection is lost.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { EventSource } from 'eventsource'
import { ROOT } from '../../src/config.ts'
import { until } from '../relay/fakes.ts'
import { startProxy } from '../relay/proxy.ts'
import { startProcess } from '../support/agent.ts'
import { openPage } from '../support/browser.ts'
import { settings } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { needs } from '../support/tools.ts'
import { startAgent } from './support.ts'

type Agent = Awaited<ReturnType<typeof startAgent>>

async function addTransitions(agent: Agent, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await agent.admin.query("select bloud.install('alpha')")
    await agent.admin.query("select bloud.cancel('alpha')")
  }
}

async function startRelay(t: { after(fn: () => unknown): void }, agent: Agent, port: number) {
  const env = settings({
    DATABASE_URL: agent.database.urlFor('bloud_relay'),
    BLOUD_PORT: String(port),
  })
  const relay = startProcess(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
  t.after(() => relay.end('SIGKILL'))
  await relay.waitFor(/"listening"/)
  return relay
}

const range = (to: number) => Array.from({ length: to }, (_, index) => index + 1)

test('npm eventsource resumes by itself after its connection was cut, and misses no event', async (t) => {
  const agent = await startAgent(t, { limits: { retryMs: 50 } })
  const proxy = await startProxy({ host: '127.0.0.1', port: agent.port })
  t.after(proxy.stop)
  const source = new EventSource(`http://127.0.0.1:${proxy.port}/api/events`)
  t.after(() => source.close())
  const [received, ids]: [number[], string[]] = [[], []]
  let snapshots = 0
  source.addEventListener('snapshot', () => {
    snapshots += 1
  })
  source.addEventListener('app', ({ data, lastEventId }) => {
    received.push(JSON.parse(data).seq)
    ids.push(lastEventId)
  })
  await until(() => snapshots === 1, 'the snapshot')
  for (let round = 0; round < 4; round += 1) {
    await addTransitions(agent, 2)
    proxy.cut()
    await addTransitions(agent, 2)
    await until(() => received.at(-1) === (round + 1) * 8, 'the missed events')
  }
  assert.deepEqual(received, range(32))
  assert.equal(snapshots, 1)
  assert.equal(new Set(ids).size, 32)
})

test(
  "Chromium's EventSource resumes by itself after the relay was restarted",
  needs('chromium'),
  async (t) => {
    const agent = await startAgent(t)
    const port = await freePort()
    const relay = await startRelay(t, agent, port)
    const { page } = await openPage(`http://127.0.0.1:${port}`)
    t.after(() => page.context().close())
    const received: number[] = []
    await page.exposeFunction('receive', (seq: number) => received.push(seq))
    await page.evaluate(() => {
      const { receive } = window as unknown as { receive(seq: number): void }
      const source = new window.EventSource('/api/events')
      source.addEventListener('app', ({ data }) => receive(JSON.parse(data).seq))
      return new Promise((resolve) => source.addEventListener('snapshot', resolve, { once: true }))
    })
    await addTransitions(agent, 2)
    await until(() => received.at(-1) === 4, 'the first transitions')
    await relay.end('SIGKILL')
    await addTransitions(agent, 2)
    await startRelay(t, agent, port)
    await until(() => received.at(-1) === 8, `the missed events; received ${received}`)
    await addTransitions(agent, 1)
    await until(() => received.at(-1) === 10, `the events after the restart; received ${received}`)
    assert.deepEqual(received, range(10))
  },
)
