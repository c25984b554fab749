import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSystemdNotifier, type NotifierOptions } from '../../src/system/sdnotify.ts'
import { temporaryDirectory } from '../support/directory.ts'

function fakeSender(exitCode = 0) {
  const dir = temporaryDirectory()
  const file = join(dir, 'received')
  const command = join(dir, 'systemd-notify')
  writeFileSync(file, '')
  writeFileSync(command, `#!/bin/sh\nprintf '%s\\n' "$@" >> ${file}\nexit ${exitCode}\n`)
  chmodSync(command, 0o755)
  return { command, received: () => readFileSync(file, 'utf8').split('\n').filter(Boolean) }
}

function create(more: Partial<NotifierOptions>) {
  const warnings: unknown[] = []
  const log = { warn: (...args: unknown[]) => void warnings.push(args) }
  return { warnings, notifier: createSystemdNotifier({ enabled: true, watchdogMs: undefined, log, ...more }) }
}

test('The agent reports once that it is ready, and each new status', async () => {
  const { command, received } = fakeSender()
  const { notifier } = create({ command })
  notifier.ready()
  notifier.status('rebuild 3: building')
  notifier.ready()
  notifier.status('rebuild 3: building')
  await notifier.flush()
  assert.deepEqual(received().toSorted(), ['READY=1', 'STATUS=rebuild 3: building'])
})

test('A status text with several lines is sent as one line', async () => {
  const { command, received } = fakeSender()
  const { notifier } = create({ command })
  notifier.status('one\nREADY=1\nMAINPID=1')
  await notifier.flush()
  assert.deepEqual(received(), ['STATUS=one READY=1 MAINPID=1'])
})

test('Many rounds of the main loop send few heartbeats to the watchdog', async () => {
  const { command, received } = fakeSender()
  const { notifier } = create({ command, watchdogMs: 60_000 })
  for (let round = 0; round < 100; round++) notifier.alive()
  await notifier.flush()
  assert.deepEqual(received(), ['WATCHDOG=1'])
})

test('Without systemd no program is started, and without a watchdog no heartbeat is sent', async () => {
  const { command, received } = fakeSender()
  const disabled = create({ command, enabled: false, watchdogMs: 1 })
  disabled.notifier.ready()
  disabled.notifier.alive()
  await disabled.notifier.flush()
  const withoutWatchdog = create({ command })
  withoutWatchdog.notifier.alive()
  await withoutWatchdog.notifier.flush()
  assert.deepEqual(received(), [])
})

test('A sender that fails or is missing causes one warning, and no error', async () => {
  for (const command of [fakeSender(1).command, '/nowhere/systemd-notify']) {
    const { notifier, warnings } = create({ command })
    notifier.ready()
    await notifier.flush()
    notifier.status('x')
    await notifier.flush()
    assert.equal(warnings.length, 1)
  }
})
