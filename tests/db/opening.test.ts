/** A pool that is being opened while the line to the database breaks. */
import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { openPool } from '../../src/db/pool.ts'
import { testDatabase } from '../support/cluster.ts'

/** More pieces than a client sends until its pool is open. */
const PIECES = 12

/** Cuts the line as soon as the client has sent so many pieces. */
async function lineOf(url: string, pieces: number) {
  const target = new URL(url)
  let sent = 0
  const server = createServer((client: Socket) => {
    const upstream = connect(Number(target.port), target.hostname)
    const hangUp = () => [client, upstream].map((socket) => socket.destroy())
    for (const socket of [client, upstream]) socket.on('error', hangUp).on('close', hangUp)
    upstream.pipe(client)
    client.on('data', (bytes) => {
      sent += 1
      if (sent < pieces) upstream.write(bytes)
      else hangUp()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const line = new URL(url)
  line.port = String((server.address() as { port: number }).port)
  return { url: line.href, stop: () => void server.close() }
}

test('cut behind whatever it sends, opening a pool fails with an error and nothing else', async (t) => {
  const database = await testDatabase('opening')
  t.after(() => database.drop())
  let failed = 0
  for (let pieces = 1; pieces <= PIECES; pieces += 1) {
    const line = await lineOf(database.url, pieces)
    const pool = await openPool(line.url, 'opening', 1).catch(() => undefined)
    line.stop()
    await pool?.end().catch(() => undefined)
    if (!pool) failed += 1
  }
  assert.ok(failed >= 3, `it failed ${failed} times`)
})
