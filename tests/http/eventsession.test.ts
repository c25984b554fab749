/** Tests of the session over which the relay is notified of new events and reads them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startProxy } from '../relay/proxy.ts'
import { type Agent, startAgent } from './support.ts'

const READER = 'bloud-relay-stream'
const LISTENER = 'bloud-relay-listen'
/** Interval in ms of reads without a notification. No such read takes place during a test. */
const NEVER_MS = 600_000
const NO_TICKS = { tickMs: NEVER_MS, degradedTickMs: NEVER_MS }

async function begin(t: { after(fn: () => unknown): void }, limits: object) {
  const port = Number(new URL(process.env.BLOUD_TEST_DATABASE_URL as string).port)
  const proxy = await startProxy({ host: '127.0.0.1', port })
  t.after(proxy.stop)
  const agent = await startAgent(t, { limits }, proxy.port)
  const stream = await agent.stream()
  await stream.until(() => stream.named('snapshot').length === 1)
  const received = () => stream.named('app').map(({ id }) => Number(id?.split('.')[1]))
  return { proxy, agent, stream, received }
}

/** Makes the transition with the number `seq`: odd ones install an app, even ones cancel that. */
const commit = (agent: Agent, seq: number) =>
  agent.admin.query(`select bloud.${seq % 2 ? 'install' : 'cancel'}('alpha')`)

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

test('each commit costs one read of events', async (t) => {
  const { proxy, agent, stream, received } = await begin(t, NO_TICKS)
  const before = proxy.countSent('execute stream_after')
  for (const seq of upTo(20)) {
    await commit(agent, seq)
    await stream.until(() => received().at(-1) === seq)
  }
  assert.equal(proxy.countSent('execute stream_after') - before, 20)
})

test('events arrive while the session of the other notifications is silent', async (t) => {
  const { proxy, agent, stream, received } = await begin(t, NO_TICKS)
  proxy.muteSession(LISTENER)
  for (const seq of upTo(4)) {
    await commit(agent, seq)
    await stream.until(() => received().at(-1) === seq)
  }
  const metrics = await (await agent.get('/metrics')).text()
  assert.match(metrics, /^bloud_listening 1$/m, 'the loss was noticed, which also leads to a read')
})

test('events arrive after the session that reads them became silent', async (t) => {
  const { proxy, agent, stream, received } = await begin(t, { tickMs: 200, readLimitMs: 300 })
  await commit(agent, 1)
  await stream.until(() => received().length === 1)
  proxy.muteSession(READER)
  await commit(agent, 2)
  await stream.until(() => received().length === 2)
  await commit(agent, 3)
  await stream.until(() => received().length === 3)
  assert.deepEqual(received(), upTo(3))
})

test('events arrive, once and in order, while the session that reads them is terminated', async (t) => {
  const { agent, stream, received } = await begin(t, NO_TICKS)
  const terminate = () =>
    agent.admin.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
       where datname = current_database() and application_name = $1`,
      [READER],
    )
  for (const seq of upTo(10)) {
    if (seq % 2) await terminate()
    await commit(agent, seq)
    await stream.until(() => received().at(-1) === seq)
  }
  assert.deepEqual(received(), upTo(10))
})
