/** docs/http.md names what is answered, and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { PROBLEMS } from '../../src/domain/problem.ts'
import { allRoutes } from '../../src/http/routes/index.ts'

const text = readFileSync(join(ROOT, 'docs/http.md'), 'utf8')

test('every route of the API is documented', () => {
  const nothing = {} as never
  const options = { source: nothing, log: nothing, relay: nothing, logs: nothing, admission: nothing }
  const routes = allRoutes({ ...options, publicDir: join(ROOT, 'public') })
  const answered = routes
    .filter(({ path }) => /^\/(api\/|healthz|readyz|metrics)/.test(path)) // the others are the page
    .flatMap(({ path, GET, POST }) => [...(GET ? [`GET ${path}`] : []), ...(POST ? [`POST ${path}`] : [])])
  const documented = [...text.matchAll(/^\| `((?:GET|POST) [^`]+)`/gm)].map((match) => match[1])
  assert.deepEqual(documented.sort(), answered.sort())
})

test('every code that only HTTP has is documented', () => {
  for (const [code, row] of Object.entries(PROBLEMS))
    assert.ok('sqlstate' in row || text.includes(`\`${code}\``), code)
})
