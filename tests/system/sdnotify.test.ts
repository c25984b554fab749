import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSystemdNotifier, type NotifierOptions } from '../../src/system/sdnotify.ts'
import { temporaryDirectory } from '../support/directory.ts'

/** Stands for systemd-notify, at the border of the process: writes down what it is given. */
function fakeSender(exitCode = 0) {
  const dir = temporaryDirectory()
  const heard = join(dir, 'heard')
  const command = join(dir, 'systemd-notify')
  writeFileSync(heard, '')
  writeFileSync(command, `#!/bin/sh\nprintf '%s\\n' "$@" >> ${heard}\nexit ${exitCode}\n`)
  chmodSync(command, 0o755)
  return { command, heard: () => readFileSync(heard, 'utf8').split('\n').filter(Boolean) }
}

function create(more: Partial<NotifierOptions>) {
  const warnings: unknown[] = []
  const log = { warn: (...words: unknown[]) => void warnings.push(words) }
  return { warnings, notifier: createSystemdNotifier({ enabled: true, watchdogMs: undefined, log, ...more }) }
}

test('systemd hears once that it is ready, and what it is doing', async () => {
  const { command, heard } = fakeSender()
  const { notifier } = create({ command })
  notifier.ready()
  notifier.status('rebuild 3: building')
  notifier.ready()
  notifier.status('rebuild 3: building')
  await notifier.flush()
  assert.deepEqual(heard().toSorted(), ['READY=1', 'STATUS=rebuild 3: building'])
})

test('A status is one line, whatever is in it', async () => {
  const { command, heard } = fakeSender()
  const { notifier } = create({ command })
  notifier.status('one\nREADY=1\nMAINPID=1')
  await notifier.flush()
  assert.deepEqual(heard(), ['STATUS=one READY=1 MAINPID=1'])
})

test('Of many rounds of the main loop, few are told to the watchdog', async () => {
  const { command, heard } = fakeSender()
  const { notifier } = create({ command, watchdogMs: 60_000 })
  for (let round = 0; round < 100; round++) notifier.alive()
  await notifier.flush()
  assert.deepEqual(heard(), ['WATCHDOG=1'])
})

test('Without systemd nothing is started, and without a watchdog nothing is fed', async () => {
  const { command, heard } = fakeSender()
  const off = create({ command, enabled: false, watchdogMs: 1 })
  off.notifier.ready()
  off.notifier.alive()
  await off.notifier.flush()
  const unwatched = create({ command })
  unwatched.notifier.alive()
  await unwatched.notifier.flush()
  assert.deepEqual(heard(), [])
})

test('A sender that fails or is missing is complained of once, and does no harm', async () => {
  for (const command of [fakeSender(1).command, '/nowhere/systemd-notify']) {
    const { notifier, warnings } = create({ command })
    notifier.ready()
    await notifier.flush()
    notifier.status('x')
    await notifier.flush()
    assert.equal(warnings.length, 1)
  }
})
