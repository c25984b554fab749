import assert from 'node:assert/strict'
import { chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { refuseUnreachable } from '../../../src/host/local/appuser.ts'
import { statePaths } from '../../../src/host/local/paths.ts'
import { prepareHost } from '../../../src/host/local/preparation.ts'
import { publicDirectories } from '../../support/directory.ts'

const publicDirectory = publicDirectories()
const isRoot = process.getuid?.() === 0
const onlyRoot = { skip: isRoot && process.platform === 'linux' ? false : 'only for root on Linux' }

test("as root, the owner of the data folder is named as the apps' user", onlyRoot, async () => {
  const dataDir = join(publicDirectory(), 'data')
  await mkdir(dataDir)
  await chown(dataDir, 54_321, 54_322)
  const notes: string[] = []
  const log = (line: string) => notes.push(line)
  const paths = statePaths(join(dataDir, 'host'))
  await prepareHost({ paths, dataDir, nodePath: process.execPath, environment: process.env, log })
  assert.match(notes.join(), /run as the user with uid 54321$/)
  const missing = join(dataDir, 'missing')
  await assert.rejects(refuseUnreachable({ uid: 54_321, gid: 54_322 }, missing), /the user with uid 54321,/)
  await assert.rejects(refuseUnreachable({ uid: 1, gid: 1 }, missing), /the user daemon \(uid 1\),/)
})
