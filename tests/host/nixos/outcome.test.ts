import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { readOutcome, trueExitCode } from '../../../src/host/nixos/outcome.ts'

const lines = (text: string) => text.split('\n')
const APPS = ['feeds', 'feeds-two', 'wiki']

const names = (text: string, code = 1) => Object.keys(readOutcome(lines(text), code, APPS).failures).sort()

test('a failed assertion of the module names its app and becomes the message', () => {
  const text = `building the system configuration...
error:
       … while evaluating the attribute 'config.system.build.toplevel'
         at /nix/store/x-source/lib/modules.nix:354:18:

       … while evaluating the option \`system.build.toplevel':

       (stack trace truncated; use '--show-trace' to show the full, detailed trace)

       error:
       Failed assertions:
       - bloud: wiki: the name of an environment variable is not valid`
  const { failures } = readOutcome(lines(text), 1, APPS)
  assert.deepEqual(Object.keys(failures), ['wiki'])
  const message = 'Failed assertions: - bloud: wiki: the name of an environment variable is not valid'
  assert.equal(failures.wiki?.message, message)
  assert.equal(failures.wiki?.class, 'evaluate')
})

test('an error of the app feeds-two does not count as an error of the app feeds', () => {
  const of = (what: string) => names(`error: while at ${what}: no`)
  assert.deepEqual(of('bloud.apps.feeds-two.image'), ['feeds-two'])
  assert.deepEqual(of('bloud.apps."feeds".image'), ['feeds'])
  assert.deepEqual(of('virtualisation.oci-containers.containers.bloud-feeds.ports'), ['feeds'])
  assert.deepEqual(of('podman-feeds-two.service'), ['feeds-two'])
  assert.deepEqual(of('services.feeds'), [])
})

test('a trace that names several apps gives no failed app', () => {
  const text = `error: infinite recursion
       … while evaluating the option \`bloud.apps.wiki.port'
       … while evaluating the option \`bloud.apps.feeds.port'`
  const { failures, cause } = readOutcome(lines(text), 1, APPS)
  assert.deepEqual([failures, cause?.message], [{}, 'infinite recursion'])
})

test('a failed download during the build is a failed build without a failed app', () => {
  const text = `these 2 derivations will be built:
  /nix/store/a.drv
error: unable to download 'https://cache.nixos.org/nar/x.nar.xz': Could not resolve host`
  const { failures, cause } = readOutcome(lines(text), 1, APPS)
  assert.deepEqual([failures, cause?.class], [{}, 'build'])
  assert.match(cause?.message ?? '', /^unable to download/)
})

test('failed units that are not apps are listed together in the cause', () => {
  const text = `warning: the following units failed: nginx.service, home-manager-me.service
× nginx.service - web server`
  const { failures, cause } = readOutcome(lines(text), 4, APPS)
  assert.deepEqual(failures, {})
  assert.match(cause?.message ?? '', /nginx\.service, home-manager-me\.service/)
})

test('each failed unit gets its own part of the status output', () => {
  const text = `warning: the following units failed: podman-feeds.service, podman-wiki.service
× podman-feeds.service - feeds
     feeds: port is taken

× podman-wiki.service - wiki
     wiki: no such image`
  const { failures } = readOutcome(lines(text), 4, APPS)
  assert.ok(
    failures.feeds?.log.join().includes('port is taken') && !failures.feeds.log.join().includes('image'),
  )
  assert.ok(failures.wiki?.log.join().includes('no such image'))
})

test('an unspecific exit code is replaced by the exit code in the output', () => {
  assert.equal(trueExitCode(1, ['warning: the following units failed: a.service']), 4)
  assert.equal(trueExitCode(1, ['Could not acquire lock']), 75)
  assert.equal(trueExitCode(1, ['error: x']), 1)
  assert.equal(trueExitCode(0, ['Could not acquire lock']), 0)
  assert.equal(trueExitCode(100, []), 100)
})

test('a successful run has no failed app, even if it printed an error', () => {
  assert.deepEqual(readOutcome(['error: bloud: wiki: no'], 0, APPS), { failures: {} })
})

test('a run without output has no failures', () => {
  assert.deepEqual(readOutcome([], 1, APPS), { failures: {} })
  assert.deepEqual(readOutcome([], null, []), { failures: {} })
})

function realError(expression: string): string | null {
  try {
    execFileSync('nix-instantiate', ['--eval', '--strict', '--show-trace', '-E', expression], {
      stdio: 'pipe',
      timeout: 30_000,
    })
    return null
  } catch (error) {
    return (error as { stderr?: Buffer }).stderr?.toString() ?? null
  }
}

const real = realError(
  `builtins.addErrorContext "while evaluating the option \`bloud.apps.wiki.image'" (throw "no image")`,
)

test("the failed app is found in the output of this machine's own Nix", {
  skip: real ? false : 'no Nix here',
}, () => {
  const { failures } = readOutcome(lines(real ?? ''), 1, APPS)
  assert.equal(failures.wiki?.message, 'no image')
})
