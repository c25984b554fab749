import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { temporaryDirectory } from '../support/directory.ts'
import { needs } from '../support/tools.ts'
import { app, evaluate, system } from './support.ts'

const nix = needs('nix')
const STRINGS = 10_000
const APPS = 50
const SEED = 4

/** Texts with a special meaning in Nix, a shell, systemd or podman. */
const PIECES = [
  // biome-ignore lint/suspicious/noTemplateCurlyInString: `${` is syntax of Nix, not a template
  '${builtins.abort "x"}',
  '$${',
  "''",
  "''${",
  '"',
  "'",
  '\\',
  '`id`',
  '$(id)',
  '$HOME',
  '%h',
  '\n[Service]\nExecStart=/bin/sh\n',
  '; rm -rf /',
  ' --privileged ',
  '\t',
  '\r',
  '\u0001',
  '\u001b[2J',
  '\u007f',
  '\u2028',
  '🦊',
  'ä',
  '\ufeff',
  '</script>',
  '*/ #',
]

/**
 * Generates texts from PIECES and random characters. NUL and unpaired surrogates are removed, because Nix
 * can't read them and the agent refuses them.
 */
const hostile = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'grapheme' })), { maxLength: 6 })
  .map((pieces) => pieces.join('').replaceAll('\0', '').toWellFormed())

const strings = fc.sample(hostile, { numRuns: STRINGS, seed: SEED })

test(`Nix reads ${STRINGS} hostile strings unchanged`, nix, async () => {
  const file = join(temporaryDirectory(), 'strings.json')
  writeFileSync(file, JSON.stringify(strings))
  assert.deepEqual(await evaluate(`builtins.fromJSON (builtins.readFile "${file}")`), strings)
})

test('Hostile environment values and display names reach only the container, unchanged', nix, async () => {
  const each = STRINGS / APPS
  const environments = Array.from({ length: APPS }, (_, index) =>
    Object.fromEntries(
      strings.slice(index * each, (index + 1) * each).map((text, at) => [`TEXT_${at}`, text] as const),
    ),
  )
  const apps = environments.map((environment, index) =>
    app(`app-${index}`, {
      environment,
      displayName: strings[index],
      healthCheck: { path: strings[index] },
    }),
  )
  const tame = environments.map((_, index) => app(`app-${index}`))
  const [machine, expected] = [await system(apps), await system(tame)]
  assert.deepEqual(machine.failed, [])
  for (const [index, environment] of environments.entries()) {
    const name = `bloud-app-${index}`
    assert.deepEqual(machine.containers[name], { ...expected.containers[name], environment })
  }
  assert.deepEqual(machine.services, expected.services, 'no unit contains any of them')
  assert.deepEqual(machine.tmpfiles, expected.tmpfiles)
})
