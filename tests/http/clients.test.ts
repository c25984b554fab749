/** Clients that others wrote: they see every move once, in order, across an agent that is gone for a while. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { EventSource } from 'eventsource'
import { ROOT } from '../../src/config.ts'
import { until } from '../relay/fakes.ts'
import { startProxy } from '../relay/proxy.ts'
import { startAgent as startProcess } from '../support/agent.ts'
import { openPage } from '../support/browser.ts'
import { settings } from '../support/npmstart.ts'
import { freePort } from '../support/port.ts'
import { needs } from '../support/tools.ts'
import { startAgent } from './support.ts'

type Agent = Awaited<ReturnType<typeof startAgent>>

async function moves(agent: Agent, times: number): Promise<void> {
  for (let one = 0; one < times; one += 1) {
    await agent.admin.query("select bloud.install('alpha')")
    await agent.admin.query("select bloud.cancel('alpha')")
  }
}

/** The relay as a process of its own, ready on that port. */
async function startRelay(t: { after(fn: () => unknown): void }, agent: Agent, port: number) {
  const env = settings({
    DATABASE_URL: agent.database.urlFor('bloud_relay'),
    BLOUD_PORT: String(port),
  })
  const relay = startProcess(process.execPath, [join(ROOT, 'src/main/relay.ts')], { env })
  t.after(() => relay.end('SIGKILL'))
  await relay.says(/"listening"/)
  return relay
}

const range = (to: number) => Array.from({ length: to }, (_, index) => index + 1)

test('npm eventsource resumes by itself after its connection was cut, and misses nothing', async (t) => {
  const agent = await startAgent(t, { limits: { retryMs: 50 } })
  const proxy = await startProxy({ host: '127.0.0.1', port: agent.port })
  t.after(proxy.stop)
  const source = new EventSource(`http://127.0.0.1:${proxy.port}/api/events`)
  t.after(() => source.close())
  const [seen, ids]: [number[], string[]] = [[], []]
  let snapshots = 0
  source.addEventListener('snapshot', () => {
    snapshots += 1
  })
  source.addEventListener('app', ({ data, lastEventId }) => {
    seen.push(JSON.parse(data).seq)
    ids.push(lastEventId)
  })
  await until(() => snapshots === 1, 'the snapshot')
  for (let round = 0; round < 4; round += 1) {
    await moves(agent, 2)
    proxy.cut()
    await moves(agent, 2)
    await until(() => seen.at(-1) === (round + 1) * 8, 'what was missed')
  }
  assert.deepEqual(seen, range(32))
  assert.equal(snapshots, 1)
  assert.equal(new Set(ids).size, 32)
})

test(
  "Chromium's EventSource goes on by itself when the agent was restarted",
  needs('chromium'),
  async (t) => {
    const agent = await startAgent(t)
    const port = await freePort()
    const relay = await startRelay(t, agent, port)
    const { page } = await openPage(`http://127.0.0.1:${port}`)
    t.after(() => page.context().close())
    const seen: number[] = []
    await page.exposeFunction('saw', (seq: number) => seen.push(seq))
    await page.evaluate(() => {
      const { saw } = window as unknown as { saw(seq: number): void }
      const source = new window.EventSource('/api/events')
      source.addEventListener('app', ({ data }) => saw(JSON.parse(data).seq))
      return new Promise((resolve) => source.addEventListener('snapshot', resolve, { once: true }))
    })
    await moves(agent, 2)
    await until(() => seen.at(-1) === 4, 'the first moves')
    await relay.end('SIGKILL')
    await moves(agent, 2)
    await startRelay(t, agent, port)
    await until(() => seen.at(-1) === 8, `what was missed; it saw ${seen}`)
    await moves(agent, 1)
    await until(() => seen.at(-1) === 10, `what came after; it saw ${seen}`)
    assert.deepEqual(seen, range(10))
  },
)
