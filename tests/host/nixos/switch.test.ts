import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { get, until } from '../../support/local-host.ts'
import { container, createTestMachine } from '../../support/nixos-host.ts'

const CODE = (exitCode: number) => ({ state: 'exited', exitCode })

test('after an install a generation is current, the app responds and the log shows it', async (t) => {
  const { host, switchTo } = await createTestMachine(t)
  const app = await container('jellyfin')
  assert.equal(await host.generation(), null)
  const { state, lines, result } = await switchTo([app])
  assert.deepEqual(state, CODE(0))
  assert.deepEqual(result, { failures: {} })
  assert.match((await host.generation()) ?? '', /^1 \([0-9a-f]{12}\)$/)
  assert.ok(lines.includes('activating the configuration...'))
  await until('the app responds', () => get(app, '/health'))
})

test('installing a second app starts only that app, and uninstalling it stops only that app', async (t) => {
  const { switchTo, dataDir } = await createTestMachine(t)
  const [one, two] = [await container('one'), await container('two')]
  const unit = () => readFile(join(dataDir, 'machine/units/one'), 'utf8')
  await switchTo([one])
  const before = await unit()
  const { lines } = await switchTo([two, one])
  assert.ok(lines.includes('the following new units were started: podman-two.service'))
  await switchTo([one])
  assert.equal(await unit(), before)
})

test('a run starts once, even if several agents request it several times', async (t) => {
  const { host, another, starts, scenario, go, held } = await createTestMachine(t)
  await scenario({ wait: 'build' })
  await host.configure([await container('one')])
  const run = { id: '7-1' }
  await Promise.all([host.startSwitch(run), host.startSwitch(run), another().startSwitch(run)])
  await until('nixos-rebuild waits', held)
  assert.deepEqual(await another().inspect(run), { state: 'running' })
  await another().startSwitch(run)
  await go()
  await until('the run ends', async () => (await host.inspect(run)).state === 'exited')
  assert.equal(await starts(), 1)
})

for (const oldFormat of [true, false]) {
  const format = oldFormat ? 'before' : 'since'
  test(`a failed evaluation in the format of Nix ${format} 2.19 names its app, nothing is active`, async (t) => {
    const { switchTo, scenario, host } = await createTestMachine(t)
    await scenario({ evaluateFails: ['bad'], oldFormat })
    const { state, result } = await switchTo([await container('bad'), await container('good')])
    assert.deepEqual(state, CODE(1))
    assert.deepEqual(Object.keys(result.failures), ['bad'])
    assert.equal(result.failures.bad?.class, 'evaluate')
    assert.match(result.failures.bad?.message ?? '', /^A definition for option is not of type `string'/)
    assert.equal(await host.generation(), null)
  })

  test(`a failed build in the format of Nix ${format} 2.19 names its app`, async (t) => {
    const { switchTo, scenario } = await createTestMachine(t)
    await scenario({ buildFails: ['bad', 'bad-too'], oldFormat })
    const apps = [await container('bad'), await container('bad-too'), await container('good')]
    const { result } = await switchTo(apps)
    assert.deepEqual(Object.keys(result.failures).sort(), ['bad', 'bad-too'])
    assert.equal(result.failures.bad?.class, 'build')
    assert.match(result.failures.bad?.message ?? '', /unit-podman-bad\.service\.drv/)
    assert.ok(result.failures.bad?.log.some((line) => line.includes('no space left on device')))
  })
}

test('a failed evaluation that names no app has a cause but no failed app', async (t) => {
  const { switchTo, scenario } = await createTestMachine(t)
  await scenario({ evaluateFails: ['bad'], unnamed: true })
  const { result } = await switchTo([await container('bad'), await container('good')])
  assert.deepEqual(result.failures, {})
  assert.equal(result.cause?.class, 'evaluate')
  assert.match(result.cause?.message ?? '', /^A definition for option is not of type/)
})

for (const passOn of [true, false]) {
  test(`the app of a systemd unit that fails to start is named (exit code ${passOn ? 'passed on' : 'lost'})`, async (t) => {
    const { switchTo, scenario, host } = await createTestMachine(t)
    await scenario({ unitsFail: ['bad'], passOn })
    const good = await container('good')
    const { state, result } = await switchTo([await container('bad'), good])
    assert.deepEqual(state, CODE(4))
    assert.deepEqual(Object.keys(result.failures), ['bad'])
    assert.equal(result.failures.bad?.class, 'activate')
    assert.ok(result.failures.bad?.log.some((line) => line.includes('bad has no such image')))
    assert.match((await host.generation()) ?? '', /^1 /)
    await until('the other app responds', () => get(good, '/health'))
  })
}

test('after a failed activation the profile and the running system are different generations', async (t) => {
  const { switchTo, scenario, host } = await createTestMachine(t)
  await switchTo([await container('one')])
  const before = await host.generation()
  await scenario({ activateFails: true })
  const { state } = await switchTo([await container('two')])
  assert.deepEqual(state, CODE(1))
  assert.match((await host.generation()) ?? '', /^2 \([0-9a-f]{12}\), running [0-9a-f]{12}$/)
  assert.notEqual(await host.generation(), before)
})

test('a system that needs a restart of the machine fails with that cause', async (t) => {
  const { switchTo, scenario } = await createTestMachine(t)
  await scenario({ reboot: true })
  const { state, result } = await switchTo([await container('one')])
  assert.deepEqual(state, CODE(100))
  assert.match(result.cause?.message ?? '', /restart it to switch to it/)
})

test('a run ends with exit code 75 if another process holds the activation lock', async (t) => {
  const { switchTo, dataDir } = await createTestMachine(t)
  const other = createServer().listen(`\0bloud-machine-${join(dataDir, 'machine')}`)
  t.after(() => other.close())
  await once(other, 'listening')
  const { state } = await switchTo([await container('one')])
  assert.deepEqual(state, CODE(75))
})

test('a command that cannot be started ends the run with code 127 and a reason in the log', async (t) => {
  const { another } = await createTestMachine(t)
  const host = another({ rebuild: '/does/not/exist' })
  await host.configure([])
  await host.startSwitch({ id: '1-1' })
  await until('the run ends', async () => (await host.inspect({ id: '1-1' })).state === 'exited')
  assert.deepEqual(await host.inspect({ id: '1-1' }), CODE(127))
  const { lines } = await host.readLog({ id: '1-1' }, 0, 10_000)
  assert.match(lines.join('\n'), /error: \/does\/not\/exist can't be started/)
})
