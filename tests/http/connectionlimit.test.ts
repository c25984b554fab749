/** Tests that connections are counted by the kernel's table, and that the table may be incomplete. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createConnectionLimit } from '../../src/http/connectionlimit.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { temporaryDirectory } from '../support/directory.ts'

const LIMIT_MS = 60_000
const PORT = 3000
const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const CLIENT = Uint8Array.of(10, 0, 0, 7)
const OTHER = Uint8Array.of(10, 0, 0, 8)

/** Writes a table of the kernel with open connections of clients, by the last byte of their address. */
const writeTable = (folder: string, connections: Record<number, number>) => {
  const rows = Object.entries(connections).map(([client, count]) =>
    `   0: 0100000A:0BB8 0${client}00000A:C001 01 00000000:00000000 00:00000000 00000000 0 0 4711 1\n`.repeat(
      count,
    ),
  )
  return writeFile(join(folder, 'tcp'), HEAD + rows.join(''))
}

/** Opens connections until one is refused, at most `most`. Returns the number of those that were not. */
function openUntilRefused(limit: ReturnType<typeof createConnectionLimit>, most: number): number {
  let opened = 0
  while (opened < most && limit.mayOpen(CLIENT, PORT)) opened += 1
  return opened
}

test('without IPv6 the connections of an address are limited', async () => {
  const folder = temporaryDirectory()
  await writeTable(folder, { 7: 100, 8: 100 })
  const limit = createConnectionLimit({ perAddress: 100 }, folder)
  assert.equal(openUntilRefused(limit, 150), 100)
  // The connections of the other client are known only from the table.
  assert.ok(await pollUntil(() => !limit.mayOpen(OTHER, PORT), LIMIT_MS))
  assert.equal(limit.mayOpen(CLIENT, PORT), false)
})

test('an address whose connections were closed may open others at once', async () => {
  const folder = temporaryDirectory()
  await writeTable(folder, { 7: 5 })
  const limit = createConnectionLimit({ perAddress: 5 }, folder)
  assert.equal(openUntilRefused(limit, 50), 5)
  await writeTable(folder, { 7: 4 })
  limit.closed(PORT)
  assert.ok(await pollUntil(() => limit.mayOpen(CLIENT, PORT), LIMIT_MS))
})

test('without a table of the kernel, as on macOS, no address has a limit', async () => {
  const limit = createConnectionLimit({ perAddress: 5 }, join(temporaryDirectory(), 'none'))
  openUntilRefused(limit, 50)
  assert.ok(await pollUntil(() => limit.mayOpen(CLIENT, PORT), LIMIT_MS))
})
