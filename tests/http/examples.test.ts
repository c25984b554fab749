/**
 * Tests that the example programs in docs/events.md work, and that the documented JSON Schemas match the
 * events.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventSchemas, SCHEMA_FILE } from '../../scripts/eventschema.ts'
import { ROOT } from '../../src/config.ts'
import { PolledEvents, STREAM_EVENTS } from '../../src/domain/event.ts'
import { until } from '../relay/fakes.ts'
import { openPage } from '../support/browser.ts'
import { needs } from '../support/tools.ts'
import { startAgent } from './support.ts'

type Agent = Awaited<ReturnType<typeof startAgent>>

const START_LIMIT_MS = 20_000
const DOCUMENT = readFileSync(join(ROOT, 'docs/events.md'), 'utf8')
const example = (language: string): string =>
  new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(DOCUMENT)?.[1] ?? assert.fail(`no ${language}`)

const installed = (program: string) => ({
  skip: spawnSync(program, ['--version']).error ? `${program} is not installed` : false,
})

async function addTransitions(agent: Agent): Promise<void> {
  await agent.admin.query("select bloud.install('alpha')")
  await agent.admin.query("select bloud.cancel('alpha')")
}

async function untilConnected(agent: Agent): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS
  while (!/^bloud_stream_clients 1$/m.test(await (await agent.get('/metrics')).text())) {
    assert.ok(performance.now() < deadline, 'the example does not connect')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function runExample(
  t: { after(fn: () => void): void },
  agent: Agent,
  language: string,
  command: string[],
) {
  const folder = mkdtempSync(join(tmpdir(), 'bloud-example-'))
  const file = join(folder, `watch.${language}`)
  writeFileSync(file, example(language).replaceAll('http://localhost:3000', agent.url))
  const [program = '', ...args] = command
  const child = spawn(program, [...args, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return () => output
}

for (const [language, command] of [
  ['sh', ['sh']],
  ['mjs', [process.execPath]],
  ['python', ['python3']],
] as const) {
  test(`the example in ${language} runs`, installed(command[0]), async (t) => {
    const agent = await startAgent(t)
    const output = await runExample(t, agent, language, [...command])
    await untilConnected(agent)
    await addTransitions(agent)
    await until(() => /failed/.test(output()), `both transitions; the output is ${output()}`)
    if (language !== 'sh')
      assert.match(output(), /\.1 alpha (null|None) → queued\n\w+\.2 alpha queued → failed\n$/)
  })
}

test("the browser's example runs in Chromium", needs('chromium'), async (t) => {
  const agent = await startAgent(t)
  const { page } = await openPage(agent.url)
  t.after(() => page.context().close())
  const output: string[] = []
  page.on('console', (message) => output.push(message.text()))
  await page.evaluate(example('js'))
  await until(() => output.includes('apps: 0'), 'the snapshot')
  await addTransitions(agent)
  await until(() => output.length === 3)
  assert.match(output.join('\n'), /\.1 alpha null → queued\n\w+\.2 alpha queued → failed$/)
})

test('the schemas in the documentation are those of the program', () => {
  assert.deepEqual(JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')), eventSchemas())
})

test('sent events match the schemas, which list every field', async (t) => {
  const agent = await startAgent(t, { limits: { heartbeatMs: 50 } })
  await addTransitions(agent)
  const stream = await agent.stream('/api/events?since=other.1')
  await addTransitions(agent)
  await stream.until(() => ['reset', 'snapshot', 'app', 'heartbeat'].every((name) => stream.named(name)[0]))
  for (const { event, data } of stream.events()) {
    STREAM_EVENTS[event as keyof typeof STREAM_EVENTS].parse(data)
  }
  assert.deepEqual(
    Object.keys(stream.named('app')[0]?.data ?? {}).sort(),
    Object.keys(STREAM_EVENTS.app.shape).sort(),
  )
  const { id } = stream.named('snapshot')[0] ?? {}
  PolledEvents.parse(await (await agent.get(`/api/events?after=${id}`)).json())
})
