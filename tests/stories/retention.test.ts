import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startProcess } from '../support/agent.ts'
import { makeHome } from '../support/home.ts'

test('old history is pruned automatically, and a client that resumes there receives a reset and a snapshot', async (t) => {
  const home = await makeHome(t)
  await home.addApp('old')
  await home.sql.query("select set_config('bloud.clock', (now() - interval '100 days')::text, false)")
  await home.sql.query(
    "insert into bloud.apps (name, display_name, version, status) values ('old', 'Old', '1', 'queued')",
  )
  await home.sql.query(
    `update bloud.apps set status = 'failed', cause = '{"class": "preflight", "message": "no"}'`,
  )
  await home.sql.query("select set_config('bloud.clock', '', false)")
  await home.orchestrator({ BLOUD_RETENTION_DAYS: '90' })
  await home.untilTrue('select pruned_to = 1 from bloud.stream')
  const relay = await home.relay()
  const { rows } = await home.sql.query('select epoch from bloud.stream')
  const resume = (seq: number) =>
    startProcess('curl', [
      '-sN',
      '-H',
      `Last-Event-ID: ${rows[0].epoch}.${seq}`,
      `${relay.address}/api/events`,
    ])
  const [early, late] = [resume(0), resume(1)]
  await early.waitFor(/event: reset[\s\S]*event: snapshot/)
  await late.waitFor(/event: app[\s\S]*"to_status":"failed"/)
  assert.doesNotMatch(late.output(), /event: reset/)
  await Promise.all([early.end('SIGTERM'), late.end('SIGTERM')])
})
