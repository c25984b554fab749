/** Tests that a reader of the table bloud.events misses no event while many sessions write events. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { type TestDatabase, testDatabase } from '../support/cluster.ts'
import { session, transitionsOf, value } from '../support/sql.ts'

const WRITERS = 24
const ROUNDS = 40
/** Statuses that a writer sets on its app, in this order, again and again. */
const LIFE = ['configuring', 'building', 'starting', 'running', 'error', 'stopping', 'stopped']

let database: TestDatabase
before(async () => {
  database = await testDatabase('events')
})
after(() => database?.drop())

interface Reading {
  read: string[]
  missed: number
  outOfOrder: number
}

async function pollEvents(url: string, done: Promise<unknown>): Promise<Reading> {
  const client = await session(url)
  let writing = true
  void done.finally(() => {
    writing = false
  })
  const read: string[] = []
  let last = '0'
  let outOfOrder = 0
  for (let more = true; more; ) {
    const isLastPoll = !writing
    const { rows } = await client.query('select seq from bloud.events where seq > $1 order by seq', [last])
    for (const { seq } of rows as { seq: string }[]) {
      if (BigInt(seq) <= BigInt(last)) outOfOrder++
      last = seq
      read.push(seq)
    }
    more = !isLastPoll
  }
  const { rows } = await client.query('select seq from bloud.events order by seq')
  const known = new Set(read)
  const missed = rows.filter(({ seq }) => !known.has(seq)).length
  await client.end()
  return { read, missed, outOfOrder }
}

async function write(url: string, name: string): Promise<{ transitions: number; deadlocks: number }> {
  const client = await session(url)
  let transitions = 0
  let deadlocks = 0
  let seed = Number.parseInt(name.slice(1), 10) + 1
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed / 2_147_483_648
  }
  async function commit(statements: [string, unknown[]][]): Promise<void> {
    for (;;) {
      try {
        await client.query('begin')
        for (const [text, values] of statements) await client.query(text, values)
        const keep = random() > 0.25
        await client.query(keep ? 'commit' : 'rollback')
        if (keep) break
      } catch (error) {
        if ((error as pg.DatabaseError).code === '40P01') deadlocks++
        await client.query('rollback')
      }
    }
    transitions += statements.length
  }
  const transition = (to: string): [string, unknown[]] => [
    'update bloud.apps set status = $1 where name = $2',
    [to, name],
  ]
  const start = "insert into bloud.apps (name, display_name, version, status) values ($1, 'W', '1', 'queued')"
  await commit([[start, [name]]])
  for (let round = 0; round < ROUNDS; ) {
    for (let at = 0; at < LIFE.length; ) {
      const step = random() > 0.5 && at + 1 < LIFE.length ? 2 : 1
      await commit(LIFE.slice(at, at + step).map(transition))
      at += step
    }
    await commit([transition('queued')])
    round += LIFE.length + 1
  }
  await client.end()
  return { transitions, deadlocks }
}

async function race(): Promise<Reading & { transitions: number; deadlocks: number }> {
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, n) => write(database.url, `w${n}`)))
  const [reading, written] = await Promise.all([pollEvents(database.url, writers), writers])
  const sum = (pick: (each: { transitions: number; deadlocks: number }) => number): number =>
    written.reduce((total, each) => total + pick(each), 0)
  const transitions = sum((each) => each.transitions)
  return { ...reading, transitions, deadlocks: sum(({ deadlocks }) => deadlocks) }
}

async function emptyHistory(client: pg.Client): Promise<void> {
  await client.query('set session_replication_role = replica') // disables triggers that protect the history
  await client.query('delete from bloud.events; delete from bloud.apps')
  await client.query('set session_replication_role = origin')
}

test('with 24 writers, a reader of "seq > last" misses no event, without deadlocks', async () => {
  const result = await race()
  assert.equal(result.missed, 0)
  assert.equal(result.outOfOrder, 0)
  assert.equal(result.deadlocks, 0)
  assert.equal(result.read.length, result.transitions, 'every committed transition is exactly one event')
})

test('a reader misses events if append_event() takes no lock, so the first test can fail', async () => {
  const client = await session(database.url)
  await emptyHistory(client)
  const source = await value<string>(client, "select pg_get_functiondef('bloud.append_event'::regproc)")
  const unlocked = source.replace('lock table bloud.lock_events in share update exclusive mode;', '')
  assert.notEqual(unlocked, source)
  await client.query(unlocked)
  let missed = 0
  for (let round = 0; round < 5 && missed === 0; round++) {
    await emptyHistory(client)
    missed = (await race()).missed
  }
  await client.query(source)
  await emptyHistory(client)
  await client.end()
  assert.ok(missed > 0, 'expected to miss rows without the lock')
})

test('a rolled back transaction leaves no event, and a commit of two transitions leaves two', async () => {
  const client = await session(database.url)
  const insert =
    "insert into bloud.apps (name, display_name, version, status) values ('two', 'T', '1', 'queued')"
  await client.query(`begin; ${insert}; rollback`)
  assert.deepEqual(await transitionsOf(client, 'two'), [])
  await client.query(
    `begin; ${insert}; update bloud.apps set status = 'configuring' where name = 'two'; commit`,
  )
  assert.deepEqual(await transitionsOf(client, 'two'), ['→queued', 'queued→configuring'])
  await client.end()
})

test('each commit sends one notification without payload, and a rollback sends none', async () => {
  const [listener, client] = [await session(database.url), await session(database.url)]
  const payloads: (string | undefined)[] = []
  listener.on('notification', ({ payload }) => payloads.push(payload))
  await listener.query('listen bloud')
  const insert = (name: string): string =>
    `insert into bloud.apps (name, display_name, version, status) values ('${name}', 'T', '1', 'queued')`
  await client.query(`begin; ${insert('quiet')}; rollback`)
  await client.query(`begin; ${insert('loud')}; ${insert('louder')}; commit`)
  await listener.query('select 1') // PostgreSQL sends pending notifications before the result of this query
  assert.deepEqual(payloads, [''])
  await Promise.all([listener.end(), client.end()])
})
