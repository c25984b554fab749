import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SETTINGS } from '../src/config/settingnames.ts'
import { ConfigError, ROOT, readConfig } from '../src/config.ts'
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

test('a comma in the login or the password does not stand for several hosts', () => {
  for (const url of [
    'postgresql://me:pass,word@127.0.0.1/db',
    'postgresql://me,you:pass,word@127.0.0.1:5432/db?sslmode=require',
  ]) {
    assert.equal(readConfig({ DATABASE_URL: url }).databaseUrl, url)
  }
  for (const url of ['postgresql://me:pass,word@one,two/db', 'postgresql://one,two@three:5432,four/db'])
    assert.throws(() => readConfig({ DATABASE_URL: url }), /DATABASE_URL: names several hosts/)
})

const ofUrl = (url: string, env: Record<string, string>) => {
  const { databaseUrl = '' } = readConfig({ DATABASE_URL: url, ...env })
  return Object.fromEntries(new URL(databaseUrl).searchParams)
}

test('variables of psql complete the TLS parameters of the URL and do not replace them', () => {
  const given = {
    PGSSLMODE: 'verify-ca',
    PGSSLROOTCERT: '/root.pem',
    PGSSLCERT: '/c.pem',
    PGSSLKEY: '/k.pem',
  }
  const filled = { sslmode: 'verify-ca', sslrootcert: '/root.pem', sslcert: '/c.pem', sslkey: '/k.pem' }
  assert.deepEqual(ofUrl('postgres://me@db/bloud', given), filled)
  assert.deepEqual(ofUrl('postgres://me@db/bloud?sslmode=disable&sslcert=/own.pem', given), {
    ...filled,
    sslmode: 'disable',
    sslcert: '/own.pem',
  })
  assert.equal(ofUrl('postgres://me@db/bloud?ssl=true', given).sslmode, undefined)
  assert.deepEqual(ofUrl('postgres://me@db/bloud', { PGSSLMODE: '' }), {})
  assert.equal(readConfig({ PGSSLMODE: 'require' }).databaseUrl, undefined)
})

test('variables of psql complete the URL of a file, and an unknown mode is refused by its name', () => {
  const DATABASE_URL_FILE = urlFile('postgres://me@db/bloud')
  const { databaseUrl } = readConfig({ DATABASE_URL_FILE, PGSSLMODE: 'verify-full' })
  assert.equal(databaseUrl, 'postgres://me@db/bloud?sslmode=verify-full')
  assert.throws(() => readConfig({ DATABASE_URL_FILE, PGSSLMODE: 'sure' }), /PGSSLMODE: .*use disable, allow/)
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
