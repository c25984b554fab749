/** Tests that docs/http.md lists exactly the routes, error codes and readiness causes of the server. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { PROBLEMS } from '../../src/domain/problem.ts'
import { allRoutes } from '../../src/http/routes/index.ts'

const text = readFileSync(join(ROOT, 'docs/http.md'), 'utf8')

test('every route of the API is documented', async () => {
  const unused = {} as never
  const options = { source: unused, log: unused, relay: unused, logs: unused, admission: unused }
  const routes = await allRoutes({ ...options, publicDir: join(ROOT, 'public') })
  const served = routes
    .filter(({ path }) => /^\/(api\/|healthz|readyz|metrics)/.test(path)) // the other routes are the web page
    .flatMap(({ path, GET, POST }) => [...(GET ? [`GET ${path}`] : []), ...(POST ? [`POST ${path}`] : [])])
  const documented = [...text.matchAll(/^\| `((?:GET|POST) [^`]+)`/gm)].map((match) => match[1])
  assert.deepEqual(documented.sort(), served.sort())
})

test('every error code that only HTTP routes return is documented', () => {
  for (const [code, row] of Object.entries(PROBLEMS))
    assert.ok('sqlstate' in row || text.includes(`\`${code}\``), code)
})

/** Returns the texts that `pattern` captures in the files. */
const found = (files: string[], pattern: RegExp) =>
  files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(pattern)].map((match) => match[1]),
  )

test('every cause of readiness is documented', () => {
  const causes = [
    ...found(['sql/functions/readiness.sql'], /^ *(?:union all\s+)?select '([a-z_]+)', /gm),
    ...found(
      ['src/db/readiness.ts', 'src/http/routes/readiness.ts'],
      /(?:causeOf|withCause)\(\s*'([a-z_]+)'/g,
    ),
    ...found(
      ['src/host/local/host.ts', 'src/host/nixos/host.ts', 'src/orchestrator/orchestrator.ts'],
      /\{ cause: '([a-z_]+)', sentence/g,
    ),
  ]
  assert.ok(causes.includes('supervisor') && causes.includes('stale') && causes.includes('locked'))
  const table = text.slice(text.indexOf('| cause |'), text.indexOf('## Errors'))
  const documented = [...table.matchAll(/`([a-z_]+)`(?=[^|]*\|[^|]+\|$)/gm)].map((match) => match[1])
  assert.deepEqual(documented.sort(), [...new Set(causes)].sort())
})
