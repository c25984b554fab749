import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { parseCatalogFile } from '../../src/domain/catalogfile.ts'
import { readCatalog } from '../../src/orchestrator/catalogdirectory.ts'

const CATALOG = resolve(import.meta.dirname, '../../nix/catalog')
const good = (name: string, more = '') =>
  `name: ${name}\ndisplayName: Some App\ncategory: test\nport: 4000\n${more}`

function errorOf(text: string, file = 'some-app.yaml') {
  const parsed = parseCatalogFile(text, file)
  assert.ok('error' in parsed, 'the file was accepted')
  return parsed.error
}
function appOf(text: string, file = 'some-app.yaml') {
  const parsed = parseCatalogFile(text, file)
  assert.ok('ok' in parsed, JSON.stringify(parsed))
  return parsed
}

test('the catalog that comes with the agent has no error, no warning, and no port twice', async () => {
  const { files, errors, warnings } = await readCatalog(CATALOG)
  assert.deepEqual(errors, [])
  assert.deepEqual(warnings, [])
  assert.ok(files.length >= 14, `only ${files.length} apps`)
  const ports = files.map(({ app }) => app.port)
  assert.equal(new Set(ports).size, ports.length, `a port is used twice: ${ports}`)
})

test('at least three apps of the catalog can be installed from the npm registry, each pinned exactly', async () => {
  const { files } = await readCatalog(CATALOG)
  const versions = files.flatMap(({ app }) => (app.npm ? [app.npm.version] : []))
  assert.ok(versions.length >= 3)
  for (const version of versions) assert.match(version ?? '', /^\d+\.\d+\.\d+$/)
})

test('every app that another app needs is in the catalog, and a required slot has one default', async () => {
  const { files } = await readCatalog(CATALOG)
  const names = files.map(({ app }) => app.name)
  for (const { app } of files) {
    for (const slot of Object.values(app.integrations)) {
      for (const { app: needed } of slot.compatible)
        assert.ok(names.includes(needed), `${app.name} needs ${needed}`)
      if (slot.required) assert.equal(slot.compatible.filter((choice) => choice.default).length, 1)
    }
  }
})

test('a short file is valid: keys it leaves out get default values', () => {
  const { ok, warnings } = appOf(good('some-app'))
  assert.deepEqual(warnings, [])
  assert.deepEqual(ok.healthCheck, { path: '/', interval: 10, timeout: 120 })
  assert.equal(ok.isSystem, false)
})

test('numbers and booleans in an environment become text', () => {
  const { ok } = appOf(good('some-app', 'environment:\n  PORT: 80\n  DEBUG: true\n'))
  assert.deepEqual(ok.environment, { PORT: '80', DEBUG: 'true' })
})

test('an unknown key is kept and reported with its line', () => {
  const { ok, warnings } = appOf(good('some-app', 'colour: red\nhealthCheck:\n  path: /\n  pathh: /x\n'))
  assert.deepEqual(
    warnings.map(({ line, reason }) => [line, reason.split(':')[0]]),
    [
      [5, 'colour'],
      [8, 'healthCheck.pathh'],
    ],
  )
  assert.equal((ok as Record<string, unknown>).colour, 'red')
  assert.equal((ok.healthCheck as Record<string, unknown>).pathh, '/x')
})

test('a mistake is reported with its file, its line and its key', () => {
  assert.deepEqual(
    { ...errorOf(good('some-app').replace('4000', '70000')), reason: '' },
    { file: 'some-app.yaml', line: 4, reason: '' },
  )
  assert.match(errorOf(good('some-app').replace('4000', 'eighty')).reason, /^port: /)
  assert.equal(errorOf('name: some-app\n\tport: 1\n').line, 2)
})

test('text that is not a catalog file is an error, not a crash', () => {
  for (const text of [
    '',
    'null',
    '[]',
    '42',
    '"x"',
    '\0',
    'a: &a [*a, *a]',
    '%YAML 9.9\n---\n',
    '? {}\n: 1',
  ]) {
    errorOf(text)
  }
})

test('a name that cannot be the name of a unit, a folder and a file is refused', () => {
  for (const name of ['Some', '1app', '../etc', 'a b', '-a', 'a'.repeat(64), 'a_b']) {
    errorOf(good(JSON.stringify(name)), `${name}.yaml`)
  }
  assert.match(errorOf(good('other')).reason, /"other".*"some-app\.yaml"/)
})

test('an npm form must be exact: no range, no tag, no git URL, not both bin and entry', () => {
  const npm = (form: string) => good('some-app', `npm: ${form}\n`)
  appOf(npm('{ package: app, version: 1.2.3, bin: app }'))
  appOf(npm('{ package: "@a/b", version: 1.2.3-rc.1, entry: main.js }'))
  appOf(npm('{ package: "file:/srv/app", bin: app }'))
  for (const bad of [
    '{ package: app, bin: app }',
    '{ package: app, version: latest, bin: app }',
    '{ package: app, version: ^1.2.3, bin: app }',
    '{ package: "git+https://x/y", version: 1.2.3, bin: app }',
    '{ package: app, version: 1.2.3 }',
    '{ package: app, version: 1.2.3, bin: app, entry: main.js }',
    '{ package: app, version: 1.2.3, bin: app, files: { "../x": a } }',
  ]) {
    errorOf(npm(bad))
  }
})

test('a bad file does not hide the other files', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'catalog-'))
  t.after(() => rm(dir, { recursive: true }))
  await writeFile(join(dir, 'a.yaml'), good('a'))
  await writeFile(join(dir, 'b.yaml'), 'name: [')
  await writeFile(join(dir, 'c.yaml'), good('c'))
  await writeFile(join(dir, 'c.yml'), good('c'))
  await writeFile(join(dir, 'big.yaml'), `${good('big')}# ${'x'.repeat(300_000)}`)
  await writeFile(join(dir, 'notes.txt'), 'not a catalog file')
  const { files, errors } = await readCatalog(dir)
  assert.deepEqual(
    files.map(({ app }) => app.name),
    ['a', 'c'],
  )
  assert.deepEqual(
    errors.map(({ file }) => file),
    ['b.yaml', 'big.yaml', 'c.yml'],
  )
})
