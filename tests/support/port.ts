import { createServer } from 'node:net'

/** Below the ports that systems hand out for outgoing connections (32768 on Linux), above the well-known ones. */
const FIRST = 20_000
const COUNT = 12_000
const TRIES = 50

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer().once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })

/** A port that nobody listened on a moment ago, and that no outgoing connection will be given. */
export async function freePort(): Promise<number> {
  for (let n = 0; n < TRIES; n++) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port found in ${TRIES} tries`)
}
