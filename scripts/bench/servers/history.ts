/** Keeps the events of a measured server in memory, for clients that reconnect. */
import { createServer } from 'node:net'

/** Text that makes each event longer, by 200 bytes or by the number in BENCH_PAD. */
export const PADDING = 'x'.repeat(Number(process.env.BENCH_PAD ?? 200))
const KEPT = 20_000

export interface Row {
  seq: number
  /** Time at which the event was due to be published, in µs of CLOCK_MONOTONIC. */
  t: number
  pad: string
}

/**
 * Listens on a TCP port for lines `<event number> <due time in µs>` from the benchmark, and adds one event
 * per line.
 */
export async function startHistory(onRows: (rows: Row[]) => void) {
  let rows: Row[] = []
  let rest = ''
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    socket.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      const added = lines.map((line) => {
        const [seq, t] = line.split(' ').map(Number)
        return { seq: seq as number, t: t as number, pad: PADDING }
      })
      rows.push(...added)
      if (rows.length > 2 * KEPT) rows = rows.slice(-KEPT)
      if (added.length > 0) onRows(added)
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

/** Prints the port for clients and the port for new events as JSON, which the benchmark reads. */
export const printReady = (port: number, feed: number): void => console.log(JSON.stringify({ port, feed }))
