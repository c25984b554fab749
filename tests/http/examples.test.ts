/** docs/events.md is true: its examples run, and its schemas are those of the program. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventSchemas, SCHEMA_FILE } from '../../scripts/schemas.ts'
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

const here = (program: string) => ({
  skip: spawnSync(program, ['--version']).error ? `${program} is not installed here` : false,
})

async function move(agent: Agent): Promise<void> {
  await agent.admin.query("select bloud.install('alpha')")
  await agent.admin.query("select bloud.cancel('alpha')")
}

/** An example that is a program of its own takes a moment to start. */
async function untilOneReads(agent: Agent): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS
  while (!/^bloud_stream_clients 1$/m.test(await (await agent.get('/metrics')).text())) {
    assert.ok(performance.now() < deadline, 'the example does not connect')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function run(t: { after(fn: () => void): void }, agent: Agent, language: string, command: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'bloud-example-'))
  const file = join(folder, `watch.${language}`)
  writeFileSync(file, example(language).replaceAll('http://localhost:3000', agent.url))
  const [program = '', ...args] = command
  const child = spawn(program, [...args, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  return { said: () => said }
}

for (const [language, command] of [
  ['sh', ['sh']],
  ['mjs', [process.execPath]],
  ['python', ['python3']],
] as const) {
  test(`the example in ${language} runs`, here(command[0]), async (t) => {
    const agent = await startAgent(t)
    const { said } = await run(t, agent, language, [...command])
    await untilOneReads(agent)
    await move(agent)
    await until(() => /failed/.test(said()), `both moves; it said ${said()}`)
    if (language !== 'sh')
      assert.match(said(), /\.1 alpha (null|None) → queued\n\w+\.2 alpha queued → failed\n$/)
  })
}

test("the browser's example runs in Chromium", needs('chromium'), async (t) => {
  const agent = await startAgent(t)
  const { page } = await openPage(agent.url)
  t.after(() => page.context().close())
  const said: string[] = []
  page.on('console', (message) => said.push(message.text()))
  await page.evaluate(example('js'))
  await until(() => said.includes('apps: 0'), 'the snapshot')
  await move(agent)
  await until(() => said.length === 3)
  assert.match(said.join('\n'), /\.1 alpha null → queued\n\w+\.2 alpha queued → failed$/)
})

test('the schemas in the documentation are those of the program', () => {
  assert.deepEqual(JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')), eventSchemas())
})

test('what is told is what the schemas say, and they name every field', async (t) => {
  const agent = await startAgent(t, { limits: { heartbeatMs: 50 } })
  await move(agent)
  const stream = await agent.stream('/api/events?since=other.1')
  await move(agent)
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
