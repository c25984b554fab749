import { createServer } from 'node:net'

/**
 * Ports for tests begin here and end below 32768, because Linux uses higher ports for outgoing connections.
 */
const FIRST = 20_000
const COUNT = 12_000
const TRIES = 50

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer().once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })

export async function freePort(): Promise<number> {
  for (let n = 0; n < TRIES; n++) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port found in ${TRIES} tries`)
}
