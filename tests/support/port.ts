import { mkdir } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { newCredentials, writeCredentials } from '../../src/postgres/credentials.ts'

/**
 * Ports for tests begin here and end below 32768, because Linux uses higher ports for outgoing connections.
 */
const FIRST = 20_000
const BLOCKS = 120
const BLOCK_SIZE = 100
const TRIES = 1_000
const unused: number[] = []

const listen = (port: number): Promise<Server | null> =>
  new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })

const isFree = async (port: number): Promise<boolean> => {
  const server = await listen(port)
  return server ? new Promise((resolve) => server.close(() => resolve(true))) : false
}

/**
 * Reserves a block of ports for this process, until the process ends: it listens on the first port of the
 * block.
 */
async function reserveBlock(): Promise<void> {
  const first = FIRST + Math.floor(Math.random() * BLOCKS) * BLOCK_SIZE
  const server = await listen(first)
  if (!server) return
  server.unref()
  for (let port = first + 1; port < first + BLOCK_SIZE; port++) unused.push(port)
}

/**
 * Returns a port that no process listens on. No other call returns it, in this process or in another test,
 * because minutes can pass before the port is used.
 */
export async function freePort(): Promise<number> {
  for (let n = 0; n < TRIES; n++) {
    const port = unused.shift()
    if (port === undefined) await reserveBlock()
    else if (await isFree(port)) return port
  }
  throw new Error(`no free port found in ${TRIES} tries`)
}

/**
 * Gives the PostgreSQL server of a new data directory a port of its own. Another process could take the
 * default port, or a port that Linux uses for outgoing connections, while a killed server restarts.
 */
export async function choosePostgresPort(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await writeCredentials(dataDir, { ...newCredentials(), port: await freePort() })
}
