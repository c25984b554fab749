import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { zodToJsonSchema } from 'zod-to-json-schema'
import { ROOT } from '../../src/config.ts'
import { catalogAppSchema } from '../../src/domain/catalog.ts'
import { parseCatalogFile } from '../../src/domain/catalogfile.ts'

const page = readFileSync(join(ROOT, 'docs/catalog.md'), 'utf8')
const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? ''

interface Schema {
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  items?: Schema
}

function keysOf(schema: Schema): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [key, ...keysOf(inner)])
  const nested = [schema.additionalProperties, schema.items].filter((each) => typeof each === 'object')
  return [...own, ...nested.flatMap(keysOf)]
}

test('the example of docs/catalog.md is a valid file without warnings, and uses every key', () => {
  const parsed = parseCatalogFile(example, 'notes.yaml')
  assert.ok('ok' in parsed, JSON.stringify(parsed))
  assert.deepEqual(parsed.warnings, [])
})

test('docs/catalog.md explains every key of the schema, and the example shows it', () => {
  const keys = new Set(keysOf(zodToJsonSchema(catalogAppSchema, { $refStrategy: 'none' }) as Schema))
  assert.ok(keys.size > 30)
  for (const key of keys) {
    assert.match(page, new RegExp(`\`${key}\``), `${key} is explained`)
    if (key !== 'entry') assert.match(example, new RegExp(`\\b${key}:`), `${key} is in the example`)
  }
})
