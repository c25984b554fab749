/**
 * Reads authentik blueprints (YAML files that set up sign-in) with two YAML parsers that the agent does not
 * use, so that tests find mistakes of the agent's own YAML code.
 */
import { execFileSync } from 'node:child_process'
import { DEFAULT_SCHEMA, load, Type } from 'js-yaml'

const TAGS = ['!KeyOf', '!Find', '!File']

const types = TAGS.flatMap((tag) =>
  (['scalar', 'sequence'] as const).map(
    (kind) => new Type(tag, { kind, construct: (value: unknown) => ({ tag, value }) }),
  ),
)
const schema = DEFAULT_SCHEMA.extend(types)

export const readBlueprint = (text: string) => load(text, { schema }) as Blueprint

export interface Blueprint {
  version: number
  metadata: { name: string }
  // biome-ignore lint/suspicious/noExplicitAny: each test checks the keys that it expects.
  entries: any[]
}

const PROGRAM = `
import json, sys, yaml
class Loader(yaml.SafeLoader): pass
def tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode): return {"tag": "!" + suffix, "value": loader.construct_scalar(node)}
    return {"tag": "!" + suffix, "value": loader.construct_sequence(node, deep=True)}
Loader.add_multi_constructor("!", tag)
print(json.dumps([yaml.load(text, Loader) for text in json.load(sys.stdin)]))
`
const LIMIT_MS = 60_000

const python = (program: string, input = '') =>
  execFileSync('python3', ['-c', program], {
    input,
    encoding: 'utf8',
    timeout: LIMIT_MS,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'pipe'],
  })

export const hasPyYaml = (() => {
  try {
    python('import yaml')
    return true
  } catch {
    return false
  }
})()

export const readByPython = (texts: string[]): unknown[] => JSON.parse(python(PROGRAM, JSON.stringify(texts)))
