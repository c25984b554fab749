import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { WantedApp } from '../../../src/host/contract.ts'
import type { Paths } from '../../../src/host/local/paths.ts'
import { currentManifest, supervisorState } from '../../../src/host/local/statefiles.ts'
import { readMark } from '../../../src/system/processgroup.ts'
import { answer, createTestHost, until } from '../../support/local-host.ts'

const done = { state: 'exited', exitCode: 0 }

async function storeOf(paths: Paths, app: WantedApp): Promise<string> {
  return (await currentManifest(paths))?.apps[app.name]?.store ?? ''
}

const packageIn = (store: string, app: WantedApp) => join(store, 'node_modules', `bloud-test-${app.name}`)

/** Ways in which a power failure or a person damages the folder of an installed package. */
const DAMAGES: Record<string, (store: string, app: WantedApp) => Promise<unknown>> = {
  'its program is empty': (store, app) => truncate(join(packageIn(store, app), 'app.js')),
  'its package.json is empty': (store, app) => truncate(join(packageIn(store, app), 'package.json')),
  'half of a file is missing': (store, app) => truncate(join(packageIn(store, app), 'app.js'), 100),
  'a file is missing': (store, app) => rm(join(packageIn(store, app), 'app.js')),
  'all packages are missing': (store) => rm(join(store, 'node_modules'), { recursive: true }),
  'entry.json is empty': (store) => truncate(join(store, 'entry.json')),
  'an earlier version made it, and its package.json is empty': async (store, app) => {
    await rm(join(store, 'entry.json'), { force: true })
    await truncate(join(packageIn(store, app), 'package.json'))
  },
  'an earlier version made it, and half of its package.json is missing': async (store, app) => {
    await rm(join(store, 'entry.json'), { force: true })
    await truncate(join(packageIn(store, app), 'package.json'), 10)
  },
  'an earlier version made it, and its program is empty': async (store, app) => {
    await rm(join(store, 'entry.json'), { force: true })
    await truncate(join(packageIn(store, app), 'app.js'))
  },
}

test('a damaged package in the store is installed anew by the next switch', async (t) => {
  const { app, switchTo, paths } = await createTestHost(t)
  const [good, other] = [await app('good'), await app('other')]
  await switchTo([good])
  for (const [damage, make] of Object.entries(DAMAGES)) {
    await make(await storeOf(paths, good), good)
    const { state, lines } = await switchTo(damage.length % 2 ? [good, other] : [good])
    assert.deepEqual(state, done, `${damage}: ${lines.join('\n')}`)
    assert.ok(
      lines.some((line) => line.includes('damaged')),
      `${damage}: the damage was not reported`,
    )
    const program = await readFile(join(packageIn(await storeOf(paths, good), good), 'app.js'), 'utf8')
    assert.match(program, /createServer/, damage)
    assert.equal(await answer(good), 'ok')
  }
})

test('an app whose program was lost runs again after the next switch', async (t) => {
  const { app, switchTo, host, paths } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  await writeFile(join(packageIn(await storeOf(paths, good), good), 'app.js'), '')
  process.kill(Number(await answer(good, '/pid')), 'SIGKILL')
  await until('the app fails', async () => (await host.unitState('good')).restarts > 0)
  assert.deepEqual((await switchTo([good])).state, done)
  assert.equal(await answer(good), 'ok')
})

test('a package that an earlier version installed is not installed twice', async (t) => {
  const { app, switchTo, paths } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  const entry = join(await storeOf(paths, good), 'entry.json')
  await rm(entry)
  const { state, lines } = await switchTo([good])
  assert.deepEqual(state, done)
  assert.ok(lines.some((line) => line.endsWith('is in the store')))
  assert.ok(existsSync(entry))
})

test('a package to which its app adds files is not damaged', async (t) => {
  const { app, switchTo, paths } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  const cache = join(packageIn(await storeOf(paths, good), good), 'cache')
  await mkdir(cache)
  await writeFile(join(cache, 'page'), 'text')
  const { lines } = await switchTo([good])
  assert.ok(lines.some((line) => line.endsWith('is in the store')))
  assert.ok(existsSync(join(cache, 'page')))
})

test('an installed app that can not be built any more stays, and the others are installed', async (t) => {
  const { app, switchTo, host, packages, paths } = await createTestHost(t)
  const [bad, good] = [await app('bad'), await app('good')]
  await switchTo([bad])
  const pid = await answer(bad, '/pid')
  await rm(join(packages, 'bad'), { recursive: true })
  const { state, id, lines } = await switchTo([bad, good])
  assert.deepEqual(state, { state: 'exited', exitCode: 4 }, lines.join('\n'))
  assert.equal(await answer(good), 'ok')
  assert.equal(await answer(bad, '/pid'), pid)
  assert.deepEqual(Object.keys((await host.result({ id })).failures), ['bad'])
  assert.ok((await currentManifest(paths))?.apps.bad)

  const again = await switchTo([{ ...bad, installing: true }, good])
  assert.deepEqual(again.state, { state: 'exited', exitCode: 1 }, 'the install of the app itself succeeded')
})

test('an unexpected error of one app is the failure of that app, with its name', async (t) => {
  const { app, switchTo, host, packages } = await createTestHost(t)
  const [bad, good, odd] = [await app('bad'), await app('good'), await app('odd')]
  await writeFile(join(packages, 'bad', 'app.js'), '')
  await rm(join(packages, 'bad', 'app.js'))
  await mkdir(join(packages, 'bad', 'app.js'))
  const broken = { ...odd, catalog: { ...odd.catalog, healthCheck: 'none' as never } }
  const { state, id } = await switchTo([bad, good, broken])
  assert.deepEqual(state, { state: 'exited', exitCode: 1 })
  const { failures } = await host.result({ id })
  assert.ok(failures.odd, 'the app with unusable settings is not named')
  assert.equal(failures.good, undefined)
  const next = await switchTo([bad, good])
  assert.deepEqual(Object.keys((await host.result({ id: next.id })).failures), ['bad'])
})

test('a damaged generation is replaced by the next switch', async (t) => {
  const { app, switchTo, paths } = await createTestHost(t)
  const good = await app('good')
  await switchTo([good])
  await truncate(join(paths.generations, '1', 'manifest.json'))
  const { state, lines } = await switchTo([good])
  assert.deepEqual(state, done, lines.join('\n'))
  assert.equal(await answer(good), 'ok')
  assert.equal((await currentManifest(paths))?.generation, 2)
})

test('an empty or partial process mark is made anew, and all processes agree on it', async (t) => {
  const { app, switchTo, host, paths, processes } = await createTestHost(t)
  const good = await app('good')
  for (const content of ['', 'c0ffee', '\0'.repeat(36)]) {
    await host.stop()
    await writeFile(paths.mark, content)
    const marks = new Set(await Promise.all(Array.from({ length: 20 }, () => readMark(paths.mark))))
    assert.equal(marks.size, 1)
    await writeFile(paths.mark, content)
    await host.start()
    assert.deepEqual((await switchTo([good])).state, done)
    await answer(good)
    assert.equal((await processes('unit')).length, 1)
  }
})

test('a host whose supervisor can not start its work is not started', async (t) => {
  const { host, paths, another } = await createTestHost(t)
  await host.stop()
  const mark = await readFile(paths.mark)
  await rm(paths.mark)
  await mkdir(paths.mark)
  await assert.rejects(another().start(), /The supervisor did not start.*its log is/s)
  await rm(paths.mark, { recursive: true })
  await writeFile(paths.mark, mark)
  await host.start()
  assert.equal((await supervisorState(paths))?.ready, true)
})

test('an initial file of an app that a power failure left empty is written again', async (t) => {
  const { app, switchTo, dataDir } = await createTestHost(t)
  const good = await app('good')
  const form = { ...good.catalog.npm, files: { 'etc/app.conf': 'port={port}\n' } }
  const home = join(dataDir, 'apps', 'good', 'etc')
  await mkdir(home, { recursive: true })
  await writeFile(join(home, 'app.conf'), '')
  await switchTo([{ ...good, catalog: { ...good.catalog, npm: form as never } }])
  await answer(good)
  assert.equal(await readFile(join(home, 'app.conf'), 'utf8'), `port=${good.port}\n`)
})

test('an empty exit file is no exit code', async (t) => {
  const { host, paths } = await createTestHost(t)
  const dir = join(paths.runs, '1-1')
  await mkdir(dir, { recursive: true })
  for (const file of ['exit', 'claim']) await writeFile(join(dir, file), '')
  assert.deepEqual(await host.inspect({ id: '1-1' }), { state: 'lost' })
})
