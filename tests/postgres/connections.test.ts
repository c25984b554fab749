/** Tests that the embedded PostgreSQL server goes on accepting new connections. */
import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isAlive } from '../../src/system/childprocess.ts'
import { withTimeout } from '../../src/system/timeout.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { choosePostgresPort } from '../support/port.ts'
import { postmasterPid, queryValue, withPostgres } from './support.ts'

const top = temporaryDirectory()
/** The server is found after at most 25 s without a connection, and killed after 15 s more. */
const RESTART_LIMIT_MS = 120_000

/** Returns the shared memory in /dev/shm that processes of the server use. */
async function sharedMemoryOf(directory: string): Promise<string[]> {
  const server = await postmasterPid(directory)
  const found = new Set<string>()
  for (const name of (await fs.readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const stat = await fs.readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    const parent = Number(/\) \S (\d+) /.exec(stat)?.[1])
    if (Number(name) !== server && parent !== server) continue
    const maps = await fs.readFile(`/proc/${name}/maps`, 'utf8').catch(() => '')
    for (const [path] of maps.matchAll(/\/dev\/shm\/PostgreSQL\.\d+/g)) found.add(path)
  }
  return [...found]
}

const linuxOnly = { skip: process.platform === 'linux' ? false : 'needs /proc' }

test('the server takes connections although all files in /dev/shm were deleted', linuxOnly, async () => {
  const directory = join(top, 'shm')
  await choosePostgresPort(directory)
  await withPostgres(directory, async ({ superuserUrl }) => {
    // Statistics of many tables need more than one segment of shared memory.
    await queryValue(
      superuserUrl,
      `do $$ begin for i in 1..4000 loop
        execute format('create table public.t%s (a int primary key)', i);
      end loop; end $$`,
    )
    for (const path of await sharedMemoryOf(directory)) await fs.rm(path)
    assert.equal(await queryValue(superuserUrl, 'select 1'), '1')
  })
})

test('a server that takes no connections is restarted', async () => {
  const dataDir = join(top, 'silent')
  await choosePostgresPort(dataDir)
  await withPostgres(dataDir, async ({ superuserUrl }, postgres) => {
    const back = new Promise((resolve) => postgres.onRestart(() => resolve('restarted')))
    const pid = await postmasterPid(dataDir)
    process.kill(pid, 'SIGSTOP')
    try {
      assert.equal(await withTimeout(back, RESTART_LIMIT_MS), 'restarted')
    } finally {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    }
    assert.notEqual(await postmasterPid(dataDir), pid)
    assert.equal(await queryValue(superuserUrl, 'select 1'), '1')
  })
})
