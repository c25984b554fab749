/** Tests the recipes of docs/reverse-proxy.md with the real reverse proxies. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { startProcess } from '../support/agent.ts'
import { openPage } from '../support/browser.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { freePort } from '../support/port.ts'
import { needs, toolPath } from '../support/tools.ts'
import { openStream, startAgent } from './support.ts'

const LIMIT_MS = 60_000
const PAUSE_MS = 50
const DOCUMENT = readFileSync(join(ROOT, 'docs/reverse-proxy.md'), 'utf8')
const directory = temporaryDirectory()

/** Returns a recipe of the document, with the ports of the test. */
function recipe(language: string, changes: readonly [from: string, to: string][]): string {
  const found = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(DOCUMENT)?.[1]
  assert.ok(found, `docs/reverse-proxy.md has a recipe for ${language}`)
  return changes.reduce((text, [from, to]) => {
    assert.ok(text.includes(from), `the recipe for ${language} contains ${from}`)
    return text.replace(from, to)
  }, found)
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LIMIT_MS
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${LIMIT_MS / 1000} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

async function run(t: TestContext, program: string, args: string[], port: number): Promise<void> {
  const proxy = startProcess(program, args)
  t.after(() => proxy.end('SIGTERM'))
  const ended = proxy.ended.then(() => assert.fail(proxy.output()))
  await Promise.race([ended, eventually(`${program} listens`, () => isOpen(port))])
}

/** Starts nginx with the server blocks. Returns the port. */
async function startNginx(t: TestContext, servers: string, port: number): Promise<number> {
  const folder = mkdtempSync(join(directory, 'nginx-'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const paths = temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')
  const http = `http { access_log off; ${paths}\n${servers}}`
  const config = `daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr; events {}\n${http}`
  writeFileSync(join(folder, 'nginx.conf'), config)
  await run(t, toolPath('nginx') ?? '', ['-p', folder, '-c', join(folder, 'nginx.conf')], port)
  return port
}

const PROXIES = {
  async nginx(t: TestContext, agentPort: number): Promise<number> {
    const port = await freePort()
    const servers = recipe('nginx', [
      ['listen 80;', `listen 127.0.0.1:${port};`],
      ['127.0.0.1:3000', `127.0.0.1:${agentPort}`],
    ])
    return startNginx(t, servers, port)
  },
  async haproxy(t: TestContext, agentPort: number): Promise<number> {
    const port = await freePort()
    const folder = mkdtempSync(join(directory, 'haproxy-'))
    const [file, socket] = [join(folder, 'haproxy.cfg'), join(folder, 'socket')]
    const config = recipe('haproxy', [
      ['bind :80', `bind 127.0.0.1:${port}`],
      ['127.0.0.1:3000', `127.0.0.1:${agentPort}`],
    ])
    writeFileSync(file, `global\n  stats socket ${socket}\n${config}`)
    await run(t, toolPath('haproxy') ?? '', ['-db', '-f', file], port)
    await eventually('the health check of HAProxy has passed', async () => {
      // HAProxy listens on the port before it listens on its own socket.
      const states = await haproxyStates(socket).catch(() => [])
      const row = states.find((line) => line.startsWith('bloud,agent,')) ?? ''
      assert.doesNotMatch(row, /DOWN/)
      return row.includes(',L7OK,')
    })
    return port
  },
}

/** Returns the states of HAProxy's servers, one line of comma-separated values for each. */
async function haproxyStates(path: string): Promise<string[]> {
  const socket = connect(path).setEncoding('utf8')
  socket.write('show stat\n')
  let answer = ''
  for await (const text of socket) answer += text
  return answer.split('\n')
}

/** Requests a path under the name box.example. Returns the status and the body. */
function ask(port: number, method: string, path: string, origin?: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const headers = { host: `box.example:${port}`, ...(origin === undefined ? {} : { origin }) }
    const sent = request({ port, host: '127.0.0.1', method, path, headers }, async (answer) => {
      let body = ''
      for await (const text of answer.setEncoding('utf8')) body += text
      resolve([answer.statusCode ?? 0, body])
    })
    sent.on('error', reject).end()
  })
}

for (const name of ['nginx', 'haproxy'] as const) {
  test(`through ${name} the page, its buttons and the stream work`, needs(name), async (t) => {
    const agent = await startAgent(t, { admissionLimits: { perAddress: 1 } })
    const port = await PROXIES[name](t, agent.port)
    assert.match((await ask(port, 'GET', '/')).join(' '), /^200 .*<div id="app">/s)
    const url = `http://localhost:${port}/api/events`
    const stream = await openStream(t, url, { 'x-forwarded-for': '203.0.113.1' })
    await stream.until(() => stream.named('snapshot').length === 1)
    const own = `http://box.example:${port}`
    const [status, body] = await ask(port, 'POST', '/api/apps/alpha/install', own)
    assert.equal(status, 202, body)
    await stream.until(() => stream.named('app').length > 0)
    const foreign = await ask(port, 'POST', '/api/apps/beta/install', 'http://evil.example')
    assert.equal(foreign[0], 403)

    // Both streams come from this machine, so the forged addresses do not count.
    const headers = { accept: 'text/event-stream', 'x-forwarded-for': '203.0.113.2' }
    const second = await fetch(url, { headers })
    assert.equal(second.status, 503)
    assert.match((await second.json()).detail, /Your address/)
  })

  const both = { skip: needs(name).skip || needs('chromium').skip }
  test(`a browser behind ${name} gets events and its buttons work`, both, async (t) => {
    const agent = await startAgent(t)
    const port = await PROXIES[name](t, agent.port)
    const { page, complaints } = await openPage(`http://localhost:${port}`)
    await page.locator('[data-connection="live"]').waitFor()
    await page.locator('[data-app="alpha"] [data-action="install"]').click()
    await page.locator('article[data-app="alpha"][data-status="queued"]').waitFor()
    await agent.admin.query("select bloud.install('beta')")
    await page.locator('article[data-app="beta"][data-status="queued"]').waitFor()
    assert.deepEqual(complaints, [])
  })
}

test('a proxy that changes Host gets an error that names the header', needs('nginx'), async (t) => {
  const agent = await startAgent(t)
  const port = await freePort()
  const location = `location / { proxy_pass http://127.0.0.1:${agent.port}; proxy_http_version 1.1; }`
  await startNginx(t, `server { listen 127.0.0.1:${port}; ${location} }`, port)
  const [status, body] = await ask(port, 'POST', '/api/apps/alpha/install', `http://box.example:${port}`)
  assert.equal(status, 403)
  const { code, detail, hint } = JSON.parse(body)
  assert.equal(code, 'foreign_origin')
  assert.ok(detail.includes(`"127.0.0.1:${agent.port}"`) && detail.includes(`box.example:${port}`), detail)
  assert.match(hint, /Host header unchanged.*docs\/reverse-proxy\.md/)
})
