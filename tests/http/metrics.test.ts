/** Tests that /metrics has the last result of the check of the invariants, and never computes it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Agent, startAgent } from './support.ts'

const NAMES = ['check_invariants()', 'check_state()', 'check_events(p_after bigint, p_to bigint)']

/** Makes each check of the invariants fail. */
async function forbidChecks(agent: Agent): Promise<void> {
  for (const name of NAMES)
    await agent.admin.query(`create or replace function bloud.${name}
      returns table (invariant text, app text, detail text) language plpgsql as
      $$ begin raise exception 'the invariants were checked'; end $$`)
}

async function metric(agent: Agent, name: string): Promise<number | undefined> {
  const text = await (await agent.get('/metrics')).text()
  const found = new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

test('/metrics has the last result of the check of the invariants with its time, and checks nothing', async (t) => {
  const agent = await startAgent(t)
  await forbidChecks(agent)
  assert.equal(await metric(agent, 'bloud_invariant_violations'), undefined, 'not checked yet')
  const attempt = (await agent.admin.query("select bloud.acquire_lease('test', 60) as id")).rows[0].id
  const found = JSON.stringify([{ invariant: 'an invariant', app: 'alpha', detail: 'a detail' }])
  await agent.admin.query('select bloud.record_check($1, 5, $2, false)', [attempt, found])
  await agent.admin.query('update bloud.invariant_check set checked_at = to_timestamp(1700000000.5)')
  assert.equal(await metric(agent, 'bloud_invariant_violations'), 1)
  assert.equal(await metric(agent, 'bloud_invariants_checked_seconds'), 1700000000.5)
})
