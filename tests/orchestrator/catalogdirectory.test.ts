import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readCatalog } from '../../src/orchestrator/catalogdirectory.ts'
import { createCatalogParser } from '../../src/orchestrator/catalogparser.ts'
import { temporaryDirectory } from '../support/directory.ts'

const dir = temporaryDirectory()
const text = (name: string) => `name: ${name}\ndisplayName: App\ncategory: test\nport: 4000\n`

test('a file that blocks, never ends or is no file is reported, and the other files are read', async () => {
  await writeFile(join(dir, 'good.yaml'), text('good'))
  await writeFile(join(dir, 'zuletzt.yml'), text('zuletzt'))
  execFileSync('mkfifo', [join(dir, 'a-pipe.yaml')])
  await mkdir(join(dir, 'a-folder.yaml'))
  await symlink('/dev/zero', join(dir, 'endless.yaml'))
  await symlink('/dev/ptmx', join(dir, 'terminal.yaml'))
  await symlink('loop.yaml', join(dir, 'loop.yaml'))
  await symlink('nowhere', join(dir, 'dangling.yaml'))
  await symlink('/proc/kmsg', join(dir, 'kernel.yaml'))
  await writeFile(join(dir, 'slow.yaml'), '*a\n'.repeat(85_000))
  await writeFile(join(dir, 'keys.yaml'), Array.from({ length: 30_000 }, (_, i) => `k${i}:\n`).join(''))
  await writeFile(join(dir, 'long.yaml'), `${text('long')}description: ${'long '.repeat(10_000)}`)
  await writeFile(join(dir, 'large.yaml'), Buffer.alloc(300_000, '#'))
  await writeFile(join(dir, 'latin.yaml'), Buffer.from('name: latin\ndisplayName: Caf\xe9\n', 'latin1'))
  await writeFile(join(dir, 'secret.yaml'), text('secret'))
  await chmod(join(dir, 'secret.yaml'), 0)
  const { files, errors } = await readCatalog(dir)
  const names = files.map(({ app }) => app.name).filter((name) => name !== 'secret')
  assert.deepEqual(names, ['good', 'long', 'zuletzt'])
  const reasons = Object.fromEntries(errors.map(({ file, reason }) => [file, reason]))
  assert.equal(reasons['a-pipe.yaml'], "can't be read: is not a regular file")
  assert.equal(reasons['endless.yaml'], "can't be read: is not a regular file")
  assert.equal(reasons['terminal.yaml'], "can't be read: is not a regular file")
  assert.match(reasons['kernel.yaml'] ?? '', /^can't be read: /)
  assert.match(reasons['slow.yaml'] ?? '', /takes longer than 3 s|Unexpected alias/)
  assert.match(reasons['keys.yaml'] ?? '', /takes longer than 3 s|more than 10000 values/)
  assert.equal(reasons['large.yaml'], "can't be read: is larger than 262144 bytes")
  assert.equal(reasons['latin.yaml'], "can't be read: the text is not UTF-8")
  assert.match(reasons['a-folder.yaml'] ?? '', /regular file|EISDIR/)
  assert.match(reasons['loop.yaml'] ?? '', /ELOOP/)
  assert.match(reasons['dangling.yaml'] ?? '', /ENOENT/)
})

test('a file that takes too long to parse is refused, and the next one is parsed', async (t) => {
  const parser = createCatalogParser(20)
  t.after(parser.stop)
  const slow = await parser.parse('*a\n'.repeat(85_000), 'slow.yaml')
  assert.deepEqual(slow, {
    error: { file: 'slow.yaml', line: 1, reason: "can't be parsed: takes longer than 0.02 s" },
  })
  assert.ok('ok' in (await parser.parse(text('next'), 'next.yaml')))
})
