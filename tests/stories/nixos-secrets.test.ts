/** Tests that the secrets of an app on NixOS are only in its secret files, and for example not in logs. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { membersOf, readMark } from '../../src/system/processgroup.ts'
import { makeNixosHome } from '../support/nixos-home.ts'

const needs = (app: string) => ({ required: true, compatible: [{ app, default: true }] })
const WIKI = {
  integrations: { database: needs('postgres'), sso: needs('authentik') },
  bootstrap: { secrets: ['SESSION_KEY'], database: { password: 'PGPASSWORD', url: 'DATABASE_URL' } },
  sso: { strategy: 'native-oidc', callbackPath: '/cb', env: { clientSecret: 'OIDC_SECRET' } },
}

async function filesUnder(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

function listen(address: string) {
  const end = new AbortController()
  let text = ''
  const reading = (async () => {
    const answer = await fetch(address, { headers: { accept: 'text/event-stream' }, signal: end.signal })
    const reader = answer.body?.getReader()
    for (;;) {
      const piece = await reader?.read()
      if (!piece?.value) return
      text += Buffer.from(piece.value).toString()
    }
  })().catch(() => undefined)
  return {
    async close() {
      end.abort()
      await reading
      return text
    },
  }
}

test('during and after an install no secret is in an argument, environment, file, log, table or stream', async (t) => {
  const home = await makeNixosHome(t)
  for (const name of ['postgres', 'authentik']) await home.addApp(name)
  await home.addApp('wiki', WIKI)
  await home.scenario({ wait: 'build' })
  const settings = { BLOUD_LOG_LEVEL: 'debug', BLOUD_BASE_URLS: 'https://{app}.home.example' }
  const agents = [await home.orchestrator(settings), await home.relay()] as const
  const streams = ['/api/events', '/api/operations/1/log'].map(
    (path) => () => listen(agents[1].address + path),
  )
  const events = streams[0]?.()
  await home.install('wiki')
  await home.held('build')
  const log = streams[1]?.()

  const own = [...(await filesUnder(home.paths.secrets)), ...(await filesUnder(home.paths.clients))]
  assert.equal(own.length, 4, String(own))
  const hostSecret = join(home.paths.state, 'host-secret')
  const key = await readFile(hostSecret)
  const secrets = await Promise.all(own.map((file) => readFile(file, 'utf8')))
  secrets.push(key.toString('latin1'), key.toString('base64'), key.toString('base64url'), key.toString('hex'))
  const assertNone = (where: string, text: string) => {
    assert.ok(text.length > 0, `${where} is empty`)
    for (const secret of secrets) assert.ok(!text.includes(secret), `${where} holds a secret`)
  }

  const rebuilds = await membersOf({ marks: [`${await readMark(home.paths.mark)}/rebuild`] })
  const pids = [...rebuilds, ...agents.map(({ child }) => child.pid)]
  assert.equal(pids.length, 4)
  for (const pid of pids) {
    for (const what of ['cmdline', 'environ']) {
      assertNone(`${what} of ${pid}`, await readFile(`/proc/${pid}/${what}`, 'latin1'))
    }
  }
  await home.go()
  await home.until('wiki', 'running')

  for (const file of await filesUnder(home.dataDir)) {
    if (own.includes(file) || file === hostSecret) continue
    const text = await readFile(file, 'latin1')
    if (text.length > 0) assertNone(file, text)
  }
  const { rows: tables } = await home.sql.query(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'bloud'`,
  )
  for (const { name } of tables) {
    const { rows } = await home.sql.query(`select coalesce(json_agg(t)::text, '[]') as text from ${name} t`)
    assertNone(name, rows[0].text)
  }
  for (const agent of agents) assertNone('the output of a process', agent.output())
  assertNone('the stream of events', (await events?.close()) ?? '')
  assertNone('the stream of the log', (await log?.close()) ?? '')
  const answers = ['/api/apps', '/api/apps/installed', '/api/apps/wiki', '/api/operations', '/metrics']
  for (const path of answers) assertNone(path, await (await fetch(agents[1].address + path)).text())
})
