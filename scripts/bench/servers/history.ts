/** A history in memory, fed line by line over a socket: what the servers of a benchmark have in common. */
import { createServer } from 'node:net'

/** About the size of a small event, unless the benchmark wants more. */
export const PADDING = 'x'.repeat(Number(process.env.BENCH_PAD ?? 200))
const KEPT = 20_000

export interface Row {
  seq: number
  t: number
  pad: string
}

/** Lines `<seq> <microseconds>` come in at a port of its own. @returns the rows kept, and that port. */
export async function startHistory(onRows: (rows: Row[]) => void) {
  let rows: Row[] = []
  let rest = ''
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    socket.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      const fresh = lines.map((line) => {
        const [seq, t] = line.split(' ').map(Number)
        return { seq: seq as number, t: t as number, pad: PADDING }
      })
      rows.push(...fresh)
      if (rows.length > 2 * KEPT) rows = rows.slice(-KEPT)
      if (fresh.length > 0) onRows(fresh)
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    head: () => rows.at(-1)?.seq ?? 0,
    after(seq: number, limit = rows.length): Row[] {
      const begin = rows.length - (rows.at(-1)?.seq ?? 0) + seq
      return rows.slice(Math.max(begin, 0), Math.max(begin, 0) + limit)
    },
  }
}

export const frameOf = (row: Row): string => `event: app\nid: e.${row.seq}\ndata: ${JSON.stringify(row)}\n\n`

/** Tells the one who started us where we are. */
export const tellReady = (port: number, feed: number): void => console.log(JSON.stringify({ port, feed }))
