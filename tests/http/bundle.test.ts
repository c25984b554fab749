import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bundle } from '../../src/http/bundle.ts'

const join = (files: Record<string, string>) =>
  bundle({
    entry: 'main',
    read: (id) => files[id] ?? '',
    resolve: (specifier) => specifier.replace('./', ''),
  })

function run(files: Record<string, string>): unknown {
  const world: { result?: unknown } = {}
  new Function('world', join(files))(world)
  return world.result
}

describe('the modules of the page joined into one script', () => {
  it('behaves like the modules, each with its own local names', () => {
    const files = {
      main: `import { a as first } from './a'
        import b, { twice } from './b'
        world.result = [first(), b, twice(4)]`,
      a: "import { twice } from './b'\nconst hidden = 3\nexport function a() { return twice(hidden) }",
      b: 'const hidden = 1\nexport const twice = (n) => n * 2\nexport default hidden',
    }
    assert.deepEqual(run(files), [6, 1, 8])
  })

  it('runs a module once, before the modules that import it', () => {
    const files = {
      main: "import './a'\nimport './b'\nworld.result.push('main')",
      a: "import './b'\nworld.result.push('a')",
      b: "world.result = ['b']",
    }
    assert.deepEqual(run(files), ['b', 'a', 'main'])
  })

  it('supports exports under other names, as in published packages', () => {
    const files = {
      main: "import { h as create } from './p'\nworld.result = create()",
      p: 'const k=()=>"made";export{k as createElement,k as h};\n//# sourceMappingURL=p.map',
    }
    assert.equal(run(files), 'made')
  })

  it('removes comments, and keeps strings that contain comment signs', () => {
    const text = join({
      main: '/** why */\nconst a = 1 // how\nworld.result = ["// kept", `/* kept */`, a/**/+a]',
    })
    assert.doesNotMatch(text, /why|how/)
    assert.match(text, /"\/\/ kept", `\/\* kept \*\/`/)
  })

  it('rejects unsupported syntax with the name of the file', () => {
    const cases: [string, Record<string, string>][] = [
      ['main → a → main', { main: "import './a'", a: "import './main'" }],
      ['a: "export let', { main: "import './a'", a: 'export let n = 1' }],
      ['a: "export \\*', { main: "import './a'", a: "export * from './b'" }],
      ['a: "import \\*', { main: "import './a'", a: "import * as b from './b'" }],
      ['main: import\\(', { main: "const a = await import('./a')" }],
      ['main: import\\(', { main: 'world.result = import.meta.url' }],
      ['main: Unexpected', { main: 'const const' }],
    ]
    for (const [reason, files] of cases) assert.throws(() => join(files), new RegExp(reason))
  })
})
