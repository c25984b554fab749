import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionUrl, urlAsRole } from '../../src/db/url.ts'

/** The one that ends up in the session: slonik's, read with its own eyes. */
async function slonikReads(url: string) {
  const { parseDsn } = await import('slonik')
  return parseDsn(url)
}

for (const url of [
  'postgresql://bloud_relay@%2Frun%2Fpostgresql/bloud_host_agent',
  'postgresql:///bloud_host_agent?host=/run/postgresql&user=bloud_relay',
]) {
  test(`I can name the socket of a PostgreSQL: ${url}`, async () => {
    const seen = await slonikReads(sessionUrl(url, 'bloud-relay'))
    assert.equal(seen.host, '/run/postgresql')
    assert.equal(seen.username, 'bloud_relay')
    assert.equal(seen.databaseName, 'bloud_host_agent')
    assert.equal(seen.applicationName, 'bloud-relay')
    assert.match(seen.options ?? '', /timezone=UTC/)
  })
}

test('A password with a plus, a blank and a slash is still the same', async () => {
  const url = sessionUrl('postgres://me:a+b%20c%2Fd@127.0.0.1:5432/db', 'x')
  assert.equal((await slonikReads(url)).password, 'a+b c/d')
  assert.equal(decodeURIComponent(new URL(url).password), 'a+b c/d')
})

test('Options of the URL are kept, before those of the agent and the role', async () => {
  const url = sessionUrl(urlAsRole('postgres://me@h/db?options=-c%20work_mem%3D8MB', 'bloud_relay'), 'x')
  const { options = '' } = await slonikReads(url)
  assert.match(options, /^-c work_mem=8MB -c role=bloud_relay -c timezone=UTC/)
})
