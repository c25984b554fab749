/**
 * Functions for tests that kill processes: they restart killed programs, start PostgreSQL, and repeat queries
 * while PostgreSQL is unavailable.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { migrate } from '../../src/db/migration.ts'
import { createLogger } from '../../src/log.ts'
import { createEmbeddedPostgres, LOGINS } from '../../src/postgres/embedded.ts'
import type { TestProcess } from './agent.ts'
import { choosePostgresPort } from './port.ts'

const PASSWORD = 'test-password'
export const POLL_MS = 60
/**
 * Upper limit in ms of a round. A round requests operations on several apps and kills processes meanwhile.
 */
export const ROUND_LIMIT_MS = 90_000

/** Starts a program, starts it again each time it ends, and writes its process id to `pidFile`. */
export function keepRunning(pidFile: string, start: () => TestProcess, onEnd: () => Promise<unknown>) {
  let child: TestProcess
  let stopping = false
  async function run(): Promise<void> {
    while (!stopping) {
      child = start()
      await writeFile(pidFile, String(child.child.pid))
      await child.ended
      if (!stopping) await onEnd()
    }
  }
  const running = run()
  return {
    output: () => child.output(),
    async stop(): Promise<void> {
      stopping = true
      child.child.kill('SIGKILL')
      await running
    },
  }
}

export async function startPostgres(dataDir: string) {
  const log = createLogger('test', 'silent')
  const postgres = createEmbeddedPostgres({ dataDir, log, settings: { fsync: 'off', max_connections: '60' } })
  await choosePostgresPort(dataDir)
  const { superuserUrl } = await postgres.start()
  const urlOf = (login?: string): string => {
    const url = new URL(superuserUrl)
    if (login) [url.username, url.password] = [login, PASSWORD]
    return url.href
  }
  const rolePasswords = Object.fromEntries(LOGINS.map((login) => [login, PASSWORD]))
  await migrate({ url: urlOf(), rolePasswords, log })
  return { urlOf, stop: postgres.stop, pidFile: join(dataDir, 'postgres/postmaster.pid') }
}

/**
 * Calls `work` with a database session. Calls it again while PostgreSQL is unavailable, for at most
 * ROUND_LIMIT_MS.
 */
export async function withRetries<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const end = Date.now() + ROUND_LIMIT_MS
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await work(client)
    } catch (error) {
      if (error instanceof assert.AssertionError || Date.now() > end) throw error
      await sleep(POLL_MS)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
