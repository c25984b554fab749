/** Keeps a history of events in memory for the measured servers. */
import { createServer } from 'node:net'

/** Padding text of each event, 200 bytes long unless the variable BENCH_PAD sets the length. */
export const PADDING = 'x'.repeat(Number(process.env.BENCH_PAD ?? 200))
/** Number of newest events that the history keeps at least. */
const KEPT = 20_000

export interface Row {
  seq: number
  /** Time at which the event was due, in µs of CLOCK_MONOTONIC. */
  t: number
  pad: string
}

/**
 * Listens on a free port for lines of the form `<seq> <due time in µs>`, and adds an event per line. Returns
 * the port and functions that read the events.
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

/** Prints the ports of the server and of its event source as JSON, which the benchmark reads. */
export const printReady = (port: number, feed: number): void => console.log(JSON.stringify({ port, feed }))
