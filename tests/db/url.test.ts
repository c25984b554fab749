import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientConfig } from '../../src/db/clientconfig.ts'
import { sessionUrl, urlAsRole } from '../../src/db/url.ts'

async function parseWithSlonik(url: string) {
  const { parseDsn } = await import('slonik')
  return parseDsn(url)
}

for (const url of [
  'postgresql://bloud_relay@%2Frun%2Fpostgresql/bloud_host_agent',
  'postgresql:///bloud_host_agent?host=/run/postgresql&user=bloud_relay',
]) {
  test(`the URL of a PostgreSQL socket is accepted: ${url}`, async () => {
    const parsed = await parseWithSlonik(sessionUrl(url, 'bloud-relay'))
    assert.equal(parsed.host, '/run/postgresql')
    assert.equal(parsed.username, 'bloud_relay')
    assert.equal(parsed.databaseName, 'bloud_host_agent')
    assert.equal(parsed.applicationName, 'bloud-relay')
    assert.match(parsed.options ?? '', /timezone=UTC/)
  })
}

test('a password with a plus, a blank and a slash is unchanged', async () => {
  const url = sessionUrl('postgres://me:a+b%20c%2Fd@127.0.0.1:5432/db', 'x')
  assert.equal((await parseWithSlonik(url)).password, 'a+b c/d')
  assert.equal(decodeURIComponent(new URL(url).password), 'a+b c/d')
})

test('options of the URL stay before those of the role and the agent', async () => {
  const url = sessionUrl(urlAsRole('postgres://me@h/db?options=-c%20work_mem%3D8MB', 'bloud_relay'), 'x')
  const { options = '' } = await parseWithSlonik(url)
  assert.match(options, /^-c work_mem=8MB -c role=bloud_relay -c timezone=UTC/)
})

test('a socket is never encrypted, and trusted system certificates mean verify-full, as in psql', () => {
  for (const url of ['postgres://me@%2Frun%2Fpostgresql/db?', 'postgres:///db?host=/run/postgresql&'])
    assert.equal(clientConfig(`${url}sslmode=require`).ssl, false)
  assert.deepEqual(clientConfig('postgres://me@db/bloud?sslrootcert=system').ssl, {})
})
