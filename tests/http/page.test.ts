/**
 * Tests of the web page as the server sends it: size, security headers, and the content without JavaScript.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Agent, startAgent } from './support.ts'

const ends: (() => unknown)[] = []
let agent: Agent
before(async () => {
  agent = await startAgent({ after: (fn) => ends.push(fn) })
  assert.equal((await agent.post('/api/apps/alpha/install')).status, 202)
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

const FIRST_LOAD_BYTES = 50_000
const page = async (path: string) => (await agent.get(path)).text()
/** Returns the size of a compressed reply in bytes. `fetch` is not used, because it decompresses the body. */
async function wireBytes(path: string): Promise<number> {
  const answer = await agent.raw(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${agent.port}\r\n` +
      'Accept-Encoding: gzip\r\nConnection: close\r\n\r\n',
  )
  assert.match(answer, /content-encoding: gzip/)
  return Number(/content-length: (\d+)/i.exec(answer)?.[1])
}
const linked = (html: string) =>
  [...html.replace(/<noscript>.*?<\/noscript>/s, '').matchAll(/(?:src|href)="(\/page\.[^"]+)"/g)].map(
    (match) => match[1] as string,
  )

test('the first load is the page, one script and one style sheet, below 50,000 bytes', async () => {
  const html = await page('/')
  const files = linked(html)
  assert.deepEqual(files.map((file) => file.replace(/\..*\./, '.')).sort(), ['/page.css', '/page.js'])
  let bytes = 0
  for (const path of ['/', ...files]) bytes += await wireBytes(path)
  assert.ok(bytes < FIRST_LOAD_BYTES, `${bytes} bytes`)
  assert.doesNotMatch(html.replaceAll('http://www.w3.org/2000/svg', ''), /(src|href)="(https?:)?\/\//)
})

test('files whose name contains a hash of their content may be cached forever', async () => {
  for (const file of linked(await page('/'))) {
    const { headers } = await agent.get(file)
    assert.match(headers.get('cache-control') as string, /immutable/)
  }
})

test('the page has no inline scripts, and its policy forbids them', async () => {
  const answer = await agent.get('/')
  const policy = answer.headers.get('content-security-policy') as string
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
  assert.doesNotMatch(policy, /unsafe|sha256/)
  const html = await answer.text()
  assert.doesNotMatch(html, /<style|\sstyle="|\son\w+="/)
  const inline = [...html.matchAll(/<script(?![^>]*\ssrc=)([^>]*)>/g)].map((match) => match[1])
  assert.deepEqual(inline, [' type="application/json" id="facts"'])
})

test('the list of apps can be read without JavaScript, and the page reloads by itself', async () => {
  const html = await page('/')
  const list = html.slice(html.indexOf('<div id="app">'), html.indexOf('id="facts"'))
  assert.match(list, /data-app="alpha" data-status="queued"/)
  assert.match(list, /Waiting for its turn/)
  assert.match(list, /data-catalog="beta"/)
  assert.match(html, /<noscript>\s*<meta http-equiv="refresh"/)
})

test('each app has a page with its history, and an unknown app gets 404', async () => {
  const html = await page('/apps/alpha')
  assert.match(html, /<h1[^>]*>alpha<\/h1>/)
  assert.match(html, /data-seq="1"/)
  assert.match(html, /<title>Queued alpha · Bloud<\/title>/)
  assert.equal((await agent.get('/apps/beta')).status, 200)
  assert.equal((await agent.get('/apps/alpha/operations/1')).status, 200)
  const missing = await agent.get('/apps/nothing-like-it')
  assert.equal(missing.status, 404)
  assert.match(await missing.text(), /There is no app called/)
})

test('a display name with HTML is escaped', async () => {
  const name = '</script><script>alert(1)</script><b>'
  await agent.admin.query('update bloud.catalog_cache set display_name = $1 where name = $2', [name, 'gamma'])
  const html = await page('/')
  await agent.admin.query("update bloud.catalog_cache set display_name = 'gamma' where name = 'gamma'")
  assert.doesNotMatch(html, /<script>alert|<b>/)
  assert.match(html, /&lt;\/script>&lt;script>alert/)
})

test('without the database the page is sent with a loading text', async () => {
  await agent.admin.query('alter view bloud.app_status rename to app_status_away')
  const answer = await agent.get('/')
  await agent.admin.query('alter view bloud.app_status_away rename to app_status')
  assert.equal(answer.status, 200)
  assert.match(await answer.text(), /Asking the agent what is installed/)
})

test('a compressed file has the same content as the uncompressed file', async () => {
  const [file = ''] = linked(await page('/'))
  const plain = await (await agent.get(file, { 'accept-encoding': 'identity' })).text()
  assert.equal(await (await agent.get(file, { 'accept-encoding': 'br' })).text(), plain)
  const raw = await fetch(agent.url + file, { headers: { 'accept-encoding': 'gzip' } })
  assert.equal(await raw.text(), plain)
})
