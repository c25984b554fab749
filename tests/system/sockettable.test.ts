/** Tests of the reader of the kernel's tables of TCP sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSockets } from '../../src/system/sockettable.ts'
import { temporaryDirectory } from '../support/directory.ts'

const ROW =
  '   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n'
const PORT = 3000
const MIB = 1024 * 1024

async function read(port: number, maxBytes: number, folder?: string) {
  const rows = []
  for await (const piece of readSockets(port, maxBytes, folder)) rows.push(...piece)
  return rows
}

test('a listener of this process is in the table', {
  skip: process.platform === 'linux' ? false : 'only on Linux',
}, async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const found = await read((server.address() as AddressInfo).port, MIB)
  assert.deepEqual(
    found.map(({ local, state, uid }) => [local, state, uid]),
    [['0100007F', '0A', String(process.getuid?.())]],
  )
})

test('a missing table is empty, and two missing tables are an error', async () => {
  const folder = temporaryDirectory()
  await assert.rejects(read(PORT, MIB, folder), { code: 'ENOENT' })
  await writeFile(join(folder, 'tcp6'), ROW)
  assert.deepEqual(await read(PORT, MIB, folder), [
    { local: '0100007F', remote: '00000000', state: '0A', uid: '1000', inode: '4711' },
  ])
})

test('of a table only the first bytes are read, and only whole rows', async () => {
  const folder = temporaryDirectory()
  await writeFile(join(folder, 'tcp'), ROW.repeat(20_000))
  assert.equal((await read(PORT, 16 * MIB, folder)).length, 20_000)
  assert.deepEqual(await read(PORT + 1, MIB, folder), [])
  assert.equal((await read(PORT, MIB, folder)).length, Math.floor(MIB / ROW.length))
  assert.equal((await read(PORT, ROW.length * 2 + 5, folder)).length, 2)
})
