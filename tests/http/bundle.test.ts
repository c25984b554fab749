import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bundle } from '../../src/http/bundle.ts'

const join = (files: Record<string, string>) =>
  bundle({
    entry: 'main',
    read: (id) => files[id] ?? '',
    resolve: (specifier) => specifier.replace('./', ''),
  })

/** What the one file sets `globalThis.seen` to. */
function run(files: Record<string, string>): unknown {
  const world: { seen?: unknown } = {}
  new Function('world', join(files))(world)
  return world.seen
}

describe('the modules of the page as one file', () => {
  it('does what the modules do, each with names of its own', () => {
    const files = {
      main: "import { a as first } from './a'\nimport b, { twice } from './b'\nworld.seen = [first(), b, twice(4)]",
      a: "import { twice } from './b'\nconst hidden = 3\nexport function a() { return twice(hidden) }",
      b: 'const hidden = 1\nexport const twice = (n) => n * 2\nexport default hidden',
    }
    assert.deepEqual(run(files), [6, 1, 8])
  })

  it('runs a module once, before whoever needs it', () => {
    const files = {
      main: "import './a'\nimport './b'\nworld.seen.push('main')",
      a: "import './b'\nworld.seen.push('a')",
      b: "world.seen = ['b']",
    }
    assert.deepEqual(run(files), ['b', 'a', 'main'])
  })

  it('takes exports under other names, as packages are published', () => {
    const files = {
      main: "import { h as create } from './p'\nworld.seen = create()",
      p: 'const k=()=>"made";export{k as createElement,k as h};\n//# sourceMappingURL=p.map',
    }
    assert.equal(run(files), 'made')
  })

  it('leaves comments out, and text that looks like one in', () => {
    const text = join({
      main: '/** why */\nconst a = 1 // how\nworld.seen = ["// kept", `/* kept */`, a/**/+a]',
    })
    assert.doesNotMatch(text, /why|how/)
    assert.match(text, /"\/\/ kept", `\/\* kept \*\/`/)
  })

  it('refuses, by the name of the file, what it can not join', () => {
    const cases: [string, Record<string, string>][] = [
      ['main → a → main', { main: "import './a'", a: "import './main'" }],
      ['a: "export let', { main: "import './a'", a: 'export let n = 1' }],
      ['a: "export \\*', { main: "import './a'", a: "export * from './b'" }],
      ['a: "import \\*', { main: "import './a'", a: "import * as b from './b'" }],
      ['main: import\\(', { main: "const a = await import('./a')" }],
      ['main: import\\(', { main: 'world.seen = import.meta.url' }],
      ['main: Unexpected', { main: 'const const' }],
    ]
    for (const [reason, files] of cases) assert.throws(() => join(files), new RegExp(reason))
  })
})
