import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openLogFile } from '../../src/host/local/logfile.ts'
import { lastLines, readLines } from '../../src/host/logreader.ts'
import { MAX_LINE_BYTES } from '../../src/system/linereader.ts'

async function tempFile(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'bloud-logs-'))
  t.after(() => rm(dir, { recursive: true }))
  return join(dir, 'log')
}

test('a log file that does not exist yet has no lines', async (t) => {
  const file = await tempFile(t)
  assert.deepEqual(await readLines(file, 0, 100, true), { lines: [], nextOffset: 0 })
  assert.deepEqual(await lastLines(file, 10), [])
})

test('an incomplete last line is returned only after its newline or the end of the run', async (t) => {
  const file = await tempFile(t)
  await writeFile(file, 'one\ntw')
  const first = await readLines(file, 0, 100, false)
  assert.deepEqual(first, { lines: ['one'], nextOffset: 4 })
  assert.deepEqual(await readLines(file, 4, 100, false), { lines: [], nextOffset: 4 })
  assert.deepEqual(await readLines(file, 4, 100, true), { lines: ['tw'], nextOffset: 6 })
  await appendFile(file, 'o\n\nthree\n')
  assert.deepEqual((await readLines(file, 4, 100, false)).lines, ['two', '', 'three'])
})

test('reading in small steps returns the same lines as reading at once', async (t) => {
  const file = await tempFile(t)
  const text = Array.from({ length: 3000 }, (_, index) => `zeile ${index} äöü 🏠`).join('\n')
  await writeFile(file, text)
  const lines: string[] = []
  let offset = 0
  for (let steps = 0; steps < 1000; steps++) {
    const part = await readLines(file, offset, 1, true)
    if (part.nextOffset === offset) break
    lines.push(...part.lines)
    offset = part.nextOffset
  }
  assert.equal(lines.join('\n'), text)
  assert.equal(offset, Buffer.byteLength(text))
})

test('a very long line is cut into pieces, never inside a character', async (t) => {
  const file = await tempFile(t)
  const text = `x${'🏠'.repeat(MAX_LINE_BYTES)}`
  await writeFile(file, `${text}\nlast\n`)
  const { lines } = await readLines(file, 0, 1_000_000, false)
  assert.equal(lines.pop(), 'last')
  for (const line of lines) assert.ok(Buffer.byteLength(line) <= MAX_LINE_BYTES)
  assert.equal(lines.join(''), text)
})

test('progress, colours, NUL and invalid UTF-8 become text that PostgreSQL can store', async (t) => {
  const file = await tempFile(t)
  const bytes = Buffer.concat([
    Buffer.from('10%\r50%\r100%\n\u001b[31mred\u001b[0m\u0007\nwindows\r\na\0b\n'),
    Buffer.from([0x6f, 0xff, 0xc3, 0x28, 0x0a]),
  ])
  await writeFile(file, bytes)
  const { lines } = await readLines(file, 0, 1000, false)
  assert.deepEqual(lines, ['100%', 'red', 'windows', 'ab', 'o\ufffd\ufffd('])
})

test('a log is rotated before it exceeds its limit, and its last lines span the rotation', async (t) => {
  const file = await tempFile(t)
  const log = openLogFile(file, 1000)
  for (let index = 0; index < 300; index++) log.write(Buffer.from(`line ${index}\n`))
  log.close()
  assert.ok((await stat(file)).size <= 1000)
  assert.ok((await stat(`${file}.1`)).size <= 1000)
  const shown = await lastLines(file, 100)
  assert.equal(shown.length, 100)
  assert.equal(shown.at(-1), 'line 299')
  assert.equal(shown[0], 'line 200')
  assert.ok(!(await readFile(file, 'utf8')).includes('line 0\n'))
})
