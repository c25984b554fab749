import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { publicDirectories } from '../../support/directory.ts'
import { answer, createTestHost, wanted } from '../../support/local-host.ts'
import { freePort } from '../../support/port.ts'
import { startRegistry } from '../../support/registry.ts'

const onlyRoot = { skip: process.getuid?.() === 0 && process.platform === 'linux' ? false : 'mounts a disk' }
const mounted: string[] = []
after(() => {
  for (const path of mounted) execFileSync('umount', ['--lazy', path])
})
const publicDirectory = publicDirectories()

function mountDisk(options: string): string {
  const path = publicDirectory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=0755,${options}`, 'bloud-test', path])
  mounted.push(path)
  chmodSync(path, 0o755)
  return path
}

const APP = `require('http').createServer((request, response) => response.end('ok'))
  .listen(Number(process.env.PORT), '127.0.0.1')\n`

/** Returns an app with `count` files of `bytes` bytes, which can't be compressed. */
const appWith = (name: string, count: number, bytes: number) => ({
  name,
  bin: { app: 'app.js' },
  files: {
    'app.js': APP,
    ...Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`${index}.txt`, randomBytes(bytes / 2).toString('hex')]),
    ),
  },
})

const DISKS: [string, string, ReturnType<typeof appWith>, RegExp][] = [
  [
    'space',
    'size=24m',
    appWith('large', 40, 1_000_000),
    /^The disk is full: .+ of 25\.2 MB was left on the disk of .+; large@1\.0\.0 needs more than the 2\d(\.\d)? MB that were free/,
  ],
  [
    'inodes',
    'size=200m,nr_inodes=400',
    appWith('large', 1_000, 10),
    /^The disk is full: room for \d+ more files was left on the disk of .+; large@1\.0\.0 needs more than the 3\d\d files/,
  ],
]

for (const [what, options, large, message] of DISKS) {
  test(`an install on a disk without ${what} names the disk and what it needs`, onlyRoot, async (t) => {
    const parent = mountDisk(options)
    const registry = await startRegistry(t, [large, appWith('small', 1, 10)])
    const host = await createTestHost(t, { parent, environment: { npm_config_registry: registry } })
    const app = wanted('large', await freePort(), 'large')
    const { state, id } = await host.switchTo([app])
    assert.deepEqual(state, { state: 'exited', exitCode: 1 })
    assert.match((await host.host.result({ id })).failures.large?.message ?? '', message)
    const small = wanted('small', await freePort(), 'small')
    const next = await host.switchTo([small])
    assert.deepEqual(next.state, { state: 'exited', exitCode: 0 }, next.lines.join('\n'))
    assert.equal(await answer(small, '/'), 'ok')
  })
}

test('a disk that is full before an install is named', onlyRoot, async (t) => {
  const parent = mountDisk('size=24m')
  const registry = await startRegistry(t, [appWith('small', 1, 400_000)])
  const host = await createTestHost(t, { parent, environment: { npm_config_registry: registry } })
  const small = wanted('small', await freePort(), 'small')
  await host.host.configure([small])
  const filler = await open(join(parent, 'filler'), 'w')
  // The log, the exit code and the result of a run fit in 200 kB.
  const { bavail, bsize } = await statfs(parent)
  await filler.write(Buffer.alloc(bavail * bsize - 200_000))
  await filler.close()
  const { state, id } = await host.switchTo([small])
  assert.deepEqual(state, { state: 'exited', exitCode: 1 })
  assert.match((await host.host.result({ id })).failures.small?.message ?? '', /^The disk is full: /)
  await rm(join(parent, 'filler'))
  assert.deepEqual((await host.switchTo([small])).state, { state: 'exited', exitCode: 0 })
})
