/** Tests that deeply nested JSON is refused before a function that calls itself reads the value. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startAgent } from './support.ts'

const arrays = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const objects = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

async function refusesNested(answer: Response): Promise<void> {
  const { code, detail } = await answer.json()
  assert.deepEqual([answer.status, code], [400, 'invalid_request'])
  assert.match(detail, /^The body is nested too deeply/)
}

test('a deeply nested body is refused', async (t: TestContext) => {
  const agent = await startAgent(t)
  for (const nested of [arrays(30_000), objects(9_000), arrays(20)])
    for (const path of ['apps/alpha/install', 'apps/alpha/rename', 'catalog/refresh', 'rollback'])
      await refusesNested(await agent.post(`/api/${path}`, `{"choices":${nested}}`))
})

test('a deeply nested choice of a plan is refused', async (t: TestContext) => {
  const agent = await startAgent(t)
  for (const nested of [arrays(1_500), arrays(20)])
    await refusesNested(await agent.get(`/api/apps/alpha/plan-install?choices=${nested}`))
})
