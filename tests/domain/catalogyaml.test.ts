import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { parseCatalogFile } from '../../src/domain/catalogfile.ts'

const file = (more: string) => `name: some-app\ndisplayName: Some App\ncategory: test\nport: 4000\n${more}`

function appOf(more: string) {
  const parsed = parseCatalogFile(file(more), 'some-app.yaml')
  assert.ok('ok' in parsed, JSON.stringify(parsed))
  return parsed.ok
}
function errorOf(more: string) {
  const parsed = parseCatalogFile(file(more), 'some-app.yaml')
  assert.ok('error' in parsed, 'the file was accepted')
  return [parsed.error.line, parsed.error.reason]
}

test('a number or boolean keeps its text where a text is meant', () => {
  const texts = [
    '123456789012345678',
    '0123',
    '1.10',
    '1e6',
    '0x1F',
    '0o17',
    '.5',
    '.inf',
    'true',
    'False',
    '-0',
  ]
  for (const text of texts) {
    const app = appOf(`version: ${text}\nenvironment: { VALUE: ${text} }\ntags: [${text}]`)
    assert.deepEqual([app.version, app.environment.VALUE, app.tags], [text, text, [text]])
  }
  assert.equal(appOf('description: 2048').description, '2048')
})

test('an unread or unknown key keeps numbers, and those that JavaScript changes become their text', () => {
  const app = appOf(
    'resources: { cpus: 1.5, memory: 512, id: 123456789012345678, top: .inf, a: 1.10, b: 0x1F, c: +1 }\n' +
      'extra: [1, true, 1.50, { 1.10: a, 0123: b, 1.1: c }]',
  )
  const texts = { id: '123456789012345678', top: '.inf', a: '1.10', b: '0x1F', c: '+1' }
  assert.deepEqual(app.resources, { cpus: 1.5, memory: 512, ...texts })
  const { extra } = app as Record<string, unknown>
  assert.deepEqual(extra, [1, true, '1.50', { '1.10': 'a', '0123': 'b', '1.1': 'c' }])
})

test('a date of YAML 1.1 and other texts that some YAML readers convert stay texts', () => {
  const file11 = `%YAML 1.1\n---\n${file('environment: { A: 0123, B: yes, C: 12:30, D: 2001-01-01, E: 1_000 }')}`
  const parsed = parseCatalogFile(file11, 'some-app.yaml')
  assert.ok('ok' in parsed, JSON.stringify(parsed))
  const texts = { A: '0123', B: 'yes', C: '12:30', D: '2001-01-01', E: '1_000' }
  assert.deepEqual(parsed.ok.environment, texts)
})

test('a number can be written as text', () => {
  const parsed = parseCatalogFile(file('').replace('4000', '"31050"'), 'some-app.yaml')
  assert.ok('ok' in parsed)
  assert.equal(parsed.ok.port, 31050)
  const app = appOf('isSystem: "yes"\nhealthCheck: { timeout: "20", interval: "0.5" }')
  assert.deepEqual([app.isSystem, app.healthCheck.timeout, app.healthCheck.interval], [true, 20, 0.5])
})

test('a key without a value counts as absent, and is an empty text in an environment', () => {
  const app = appOf(
    'tags:\ndescription: ~\nhealthCheck:\nenvironment:\n  SOFFICE:\nsso: { client: }\nrouting:',
  )
  assert.deepEqual([app.tags, app.description, app.healthCheck.path], [[], '', '/'])
  assert.deepEqual([app.environment, app.sso, app.routing], [{ SOFFICE: '' }, {}, undefined])
})

test('one word can be used by 500 aliases, and a merge key copies a map', () => {
  const uses = Array.from({ length: 500 }, (_, index) => `  TZ_${index}: *tz`).join('\n')
  assert.equal(appOf(`x-tz: &tz Europe/Berlin\nenvironment:\n${uses}`).environment.TZ_499, 'Europe/Berlin')
  const app = appOf('x-all: &all { LANG: C }\nenvironment: { <<: *all, PORT: 80 }')
  assert.deepEqual(app.environment, { LANG: 'C', PORT: '80' })
})

test('a file whose aliases expand to too much, or to themselves, is refused with the line', () => {
  const levels = Array.from(
    { length: 8 },
    (_, n) => `l${n}: &l${n} [${Array(9).fill(n ? `*l${n - 1}` : 'x')}]`,
  )
  assert.deepEqual(errorOf(levels.join('\n')), [9, 'expands to more than 10000 values'])
  assert.deepEqual(errorOf('x: &x [*x]'), [5, 'the alias *x contains itself'])
  assert.deepEqual(errorOf(`x: ${'['.repeat(60)}${']'.repeat(60)}`), [
    5,
    'is nested more than 40 levels deep',
  ])
  const deep = errorOf(`x: ${'['.repeat(100_000)}`)
  assert.match(String(deep[1]), /can't be parsed|nested/)
})

test('a text that PostgreSQL cannot store is refused with the line', () => {
  assert.deepEqual(errorOf('description: "a\\0b"'), [5, 'contains a NUL character (\\0)'])
  assert.deepEqual(errorOf('tags: []\n"a\\0b": 1'), [6, 'contains a NUL character (\\0)'])
  assert.deepEqual(errorOf('# cut by a power loss \0\0'), [5, 'contains a NUL character'])
  assert.match(String(errorOf('description: "\\ud800"')[1]), /lone surrogate/)
  assert.match(String(errorOf('environment: { __proto__: x }')[1]), /__proto__/)
})

test('a reason names the cause', () => {
  assert.deepEqual(errorOf('tags: {}'), [5, 'tags: must be a list, but is a map'])
  assert.deepEqual(errorOf('environment: [A=1]'), [5, 'environment: must be a map, but is a list'])
  assert.deepEqual(errorOf('environment: 5'), [5, 'environment: must be a map, but is a number'])
  assert.deepEqual(errorOf('npm: true'), [5, 'npm: must be a map, but is true or false'])
  assert.deepEqual(errorOf('tags: 1984'), [5, 'tags: must be a list, but is a number'])
  assert.deepEqual(errorOf('tags:\n  -\n  - a'), [6, 'tags.0: must be text, but is empty'])
  assert.deepEqual(errorOf('environment: { 1: a }')[0], 5)
  assert.deepEqual(errorOf('tags: []\nx: { 1: a, 1: b }'), [6, 'Map keys must be unique'])
  const merge = 'the merge key << needs a map or a list of maps'
  assert.deepEqual(errorOf('tags: []\nenvironment: { <<: 5 }'), [6, merge])
  assert.deepEqual(errorOf('x: &x [a]\nenvironment:\n  <<: [*x]'), [7, merge])
  assert.deepEqual(errorOf('description: !secret a'), [5, 'Unresolved tag: !secret'])
  assert.match(String(errorOf('environment: !!omap [A: 1]')), /Unresolved tag/)
  assert.deepEqual(errorOf('npm: { package: x, version: 1.10, bin: x }')[0], 5)
  const parse = (text: string) => parseCatalogFile(text, 'some-app.yaml')
  assert.deepEqual(parse(''), { error: { file: 'some-app.yaml', line: 1, reason: 'the file: is empty' } })
  const missing = parse('name: some-app\n')
  assert.ok('error' in missing)
  assert.equal(missing.error.reason, 'displayName: is missing')
})

test('no file throws, and each accepted file can be stored as JSON', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.double(),
    fc.bigInt(),
    fc.jsonValue(),
    fc.constant(null),
  )
  const key = fc.constantFrom(
    'constructor',
    '__proto__',
    'toString',
    'tags',
    'environment',
    'port',
    'name',
    'npm',
  )
  fc.assert(
    fc.property(fc.dictionary(key, value), fc.string({ unit: 'binary' }), (keys, text) => {
      for (const more of [stringify(keys), text]) {
        const parsed = parseCatalogFile(file(more), 'some-app.yaml')
        if ('ok' in parsed) assert.doesNotMatch(JSON.stringify(parsed.ok), /\\u0000|\\ud[89a-f]/)
        else assert.ok(parsed.error.reason && parsed.error.line >= 1)
      }
    }),
  )
})
