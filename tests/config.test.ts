import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError, ROOT, readConfig, SETTINGS } from '../src/config.ts'
import { temporaryDirectory } from './support/directory.ts'

function urlFile(content: string): string {
  const path = join(temporaryDirectory(), 'url')
  writeFileSync(path, content)
  return path
}

test('the URL of the database can be in a file and be combined with a role', () => {
  const DATABASE_URL_FILE = urlFile('postgres://me:secret@db/bloud\n')
  assert.equal(readConfig({ DATABASE_URL_FILE }).databaseUrl, 'postgres://me:secret@db/bloud')
  const { databaseUrl } = readConfig({ DATABASE_URL_FILE, BLOUD_DATABASE_ROLE: 'bloud_relay' })
  assert.equal(databaseUrl, 'postgres://me:secret@db/bloud?options=-c%20role%3Dbloud_relay')
})

test('an error about a missing or invalid URL file names the file and not its content', () => {
  for (const DATABASE_URL_FILE of [urlFile('password=sentinel-7f3a'), '/nowhere/url']) {
    assert.throws(
      () => readConfig({ DATABASE_URL_FILE }),
      (error: Error) =>
        error instanceof ConfigError &&
        error.message.includes(DATABASE_URL_FILE) &&
        !error.message.includes('sentinel'),
    )
  }
})

test('systemd is notified only if its environment variables are set', () => {
  assert.deepEqual(readConfig({}).supervision, { enabled: false, watchdogMs: undefined })
  const config = readConfig({ NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '60000000' })
  assert.deepEqual(config.supervision, { enabled: true, watchdogMs: 60_000 })
})

test('an invalid number is refused with the allowed range', () => {
  for (const BLOUD_PORT of ['abc', '0', '65536', '80.5', '-1', '1e3', ' 80'])
    assert.throws(() => readConfig({ BLOUD_PORT }), /BLOUD_PORT: must be a whole number from 1 to 65535$/)
  assert.equal(readConfig({ BLOUD_PORT: '8080' }).port, 8080)
  assert.throws(() => readConfig({ BLOUD_RETENTION_DAYS: 'ever' }), /from 1 to 36500/)
})

test('docs/settings.md names every setting and no other', () => {
  const text = readFileSync(join(ROOT, 'docs/settings.md'), 'utf8')
  const named = new Set(text.match(/\b(BLOUD_|DATABASE_|NOTIFY_|WATCHDOG_)[A-Z_]+/g))
  assert.deepEqual([...named].sort(), SETTINGS.toSorted())
})
