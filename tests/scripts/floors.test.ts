import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { checkFloors } from '../../scripts/floors.ts'
import { ROOT } from '../../src/config.ts'
import { temporaryDirectory } from '../support/directory.ts'

function problemsOf(files: Record<string, string>): string[] {
  const root = temporaryDirectory()
  const dependencies = { pg: '1.0.0', pino: '1.0.0', preact: '1.0.0', 'uWebSockets.js': '1.0.0' }
  writeFileSync(
    join(root, 'package.json'),
    JSON.stringify({ dependencies, devDependencies: { tool: '1.0.0' } }),
  )
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return checkFloors(root)
}

test('this repository follows its import rules', () => {
  assert.deepEqual(checkFloors(ROOT), [])
})

test('a folder may import itself and lower layers, and every folder may import the log', () => {
  const found = problemsOf({
    'src/main/start.ts': "import { a } from '../db/pool.ts'\nimport { b } from './other.ts'\n",
    'src/main/other.ts': "import { log } from '../log.ts'\nexport const b = log\n",
    'src/db/pool.ts': "import { log } from '../log.ts'\nconst a = sql.unsafe`select 1`\n",
    'src/log.ts': "import { pino } from 'pino'\nexport const log = pino()\n",
  })
  assert.deepEqual(found, [])
})

const wrong: [string, Record<string, string>, RegExp][] = [
  [
    'an import from a higher layer',
    { 'src/db/pool.ts': "import { a } from '../host/index.ts'" },
    /db may not import host/,
  ],
  [
    'an import over several lines',
    { 'src/db/pool.ts': "import {\n  a,\n  type B,\n} from '../http/server.ts'" },
    /db may not import http/,
  ],
  [
    'an import of types',
    { 'src/db/pool.ts': "import type { A } from '../relay/x.ts'" },
    /db may not import relay/,
  ],
  [
    'an export from a higher layer',
    { 'src/db/pool.ts': "export * from '../relay/x.ts'" },
    /db may not import relay/,
  ],
  [
    'an import at run time',
    { 'src/db/pool.ts': "const a = await import('../relay/x.ts')" },
    /may not import relay/,
  ],
  [
    'an import of the orchestrator by the relay',
    { 'src/relay/x.ts': "import { a } from '../orchestrator/y.ts'" },
    /relay may not import orchestrator/,
  ],
  ['a development tool in src', { 'src/main/x.ts': "import tool from 'tool'" }, /does not install/],
  [
    'a development tool that is only located',
    { 'src/main/x.ts': "const path = import.meta.resolve('@scope/tool/x.js')" },
    /imports @scope\/tool,/,
  ],
  ['a development tool in the page', { 'public/app.js': "import tool from 'tool/x'" }, /does not install/],
  ['a library in the set-up', { 'scripts/setup.js': "import pg from 'pg'" }, /imports pg, which `npm start`/],
  ['a library in domain', { 'src/domain/x.ts': "import pg from 'pg'" }, /imports pg/],
  ['uWebSockets.js outside http', { 'src/relay/x.ts': "import u from 'uWebSockets.js'" }, /only src\/http/],
  [
    'a process started outside host, postgres and system',
    { 'src/main/x.ts': "import { spawn } from 'node:child_process'" },
    /only src\/\{host,postgres,system\}/,
  ],
  [
    'the environment read outside config.ts',
    { 'src/host/x.ts': 'const a = process.env.HOME' },
    /only src\/config\.ts/,
  ],
  ['SQL outside db', { 'src/relay/x.ts': "await client.query('select 1')" }, /holds SQL/],
  ['a slonik query outside db', { 'src/relay/x.ts': 'sql.type(row)`select 1`' }, /holds SQL/],
  [
    'a pg_notify outside triggers.sql',
    { 'sql/functions/x.sql': "select pg_notify('a', '')" },
    /only sql\/triggers\.sql/,
  ],
  [
    'a cycle',
    { 'src/db/a.ts': "import { b } from './b.ts'", 'src/db/b.ts': "import { a } from './a.ts'" },
    /cycle: src\/db\/a\.ts → src\/db\/b\.ts → src\/db\/a\.ts/,
  ],
]

for (const [name, files, message] of wrong) {
  test(`${name} is found`, () => {
    const problems = problemsOf(files)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] ?? '', message)
  })
}

test('a comment may contain imports, SQL and pg_notify', () => {
  const text = "/** As process.env, or import { a } from '../main/b.ts'. */\n// client.query('select 1')\n"
  assert.deepEqual(problemsOf({ 'src/db/pool.ts': text, 'src/host/x.ts': text }), [])
  assert.deepEqual(problemsOf({ 'sql/views.sql': '-- the only pg_notify( is in triggers.sql\n' }), [])
})
