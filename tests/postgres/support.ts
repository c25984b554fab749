/** Starts embedded PostgreSQL servers for tests. */
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { createLogger } from '../../src/log.ts'
import { createEmbeddedPostgres, type EmbeddedPostgres } from '../../src/postgres/embedded.ts'

export const embedded = (directory: string, settings: Record<string, string> = {}): EmbeddedPostgres =>
  createEmbeddedPostgres({
    dataDir: directory,
    log: createLogger('test', 'silent'),
    settings: { fsync: 'off', ...settings },
  })

export async function withPostgres<T>(
  directory: string,
  work: (running: Awaited<ReturnType<EmbeddedPostgres['start']>>, postgres: EmbeddedPostgres) => Promise<T>,
  settings?: Record<string, string>,
): Promise<T> {
  const postgres = embedded(directory, settings)
  try {
    return await work(await postgres.start(), postgres)
  } finally {
    await postgres.stop()
  }
}

export async function queryValue(url: string, statement: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query({ text: statement, rowMode: 'array' })
    return String(rows[0]?.[0] ?? '')
  } finally {
    await client.end()
  }
}

export const postmasterPid = async (directory: string) =>
  Number.parseInt(await fs.readFile(join(directory, 'postgres/postmaster.pid'), 'utf8'), 10)
