/**
 * Starts clients of the event stream that reconnect, and counts the events that they lose or receive out of
 * order. Starts writers, which cause events.
 */
import { type ClientRequest, get } from 'node:http'
import pg from 'pg'

const RETRY_MS = 20
const TOGGLE_STATUS = `update bloud.apps set status = case status when 'running' then 'error' else 'running' end where name = $1`

export interface Tally {
  /**
   * Number of missing event numbers, summed over all clients. Includes numbers that PostgreSQL skipped after
   * a crash, which `countLost` does not count.
   */
  lost: number
  /** How many clients missed the same event numbers, by range in the form `from-to`. */
  gaps: Map<string, number>
  reordered: number
  resets: number
  connects: number
}

function startClient(port: number, tally: Tally) {
  let last = -1
  let id = ''
  let request: ClientRequest | undefined
  let stopped = false

  function countGap(from: number, to: number): void {
    const key = `${from}-${to}`
    tally.lost += to - from + 1
    tally.gaps.set(key, (tally.gaps.get(key) ?? 0) + 1)
  }

  function onBlock(block: string): void {
    const event = /^event: (.*)$/m.exec(block)?.[1]
    const found = /^id: (.*)$/m.exec(block)?.[1]
    if (event === 'reset') tally.resets += 1
    if (!found || (event !== 'app' && event !== 'snapshot')) return
    const seq = Number(found.split('.')[1])
    if (event === 'app' && seq <= last) tally.reordered += 1
    else if (event === 'app' && last >= 0 && seq > last + 1) countGap(last + 1, seq - 1)
    last = seq
    id = found
  }

  function connect(): void {
    if (stopped) return
    tally.connects += 1
    const headers = { accept: 'text/event-stream', ...(id ? { 'last-event-id': id } : {}) }
    let text = ''
    let over = false
    const reconnect = () => {
      if (!over) setTimeout(connect, RETRY_MS)
      over = true
    }
    request = get({ port, host: '127.0.0.1', path: '/api/events', headers }, (answer) => {
      answer.setEncoding('utf8').on('data', (piece: string) => {
        const blocks = (text + piece).split('\n\n')
        text = blocks.pop() ?? ''
        blocks.forEach(onBlock)
      })
      answer.on('close', reconnect).on('error', () => undefined)
    })
    request.on('error', reconnect)
  }

  connect()
  return {
    last: () => last,
    cut: () => request?.destroy(),
    stop() {
      stopped = true
      request?.destroy()
    },
  }
}

export function startClients(port: number, count: number) {
  const tally: Tally = { lost: 0, gaps: new Map(), reordered: 0, resets: 0, connects: 0 }
  const clients = Array.from({ length: count }, () => startClient(port, tally))
  return {
    tally,
    cutSome(): void {
      for (const client of clients.filter((_, index) => index % 7 === 0)) client.cut()
    },
    behind: (seq: number) => clients.filter((client) => client.last() < seq).length,
    stop(): void {
      for (const client of clients) client.stop()
    },
  }
}

/** Starts database sessions that each change the status of one app, as fast as PostgreSQL can commit. */
export function startWriters(url: string, count: number) {
  let stopped = false
  let transitions = 0
  const isStopped = () => stopped

  async function write(app: string): Promise<void> {
    const client = new pg.Client({ connectionString: url, application_name: 'writer' })
    client.on('error', () => undefined)
    try {
      await client.connect()
      while (!isStopped()) {
        await client.query(TOGGLE_STATUS, [app])
        transitions += 1
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  const running = Array.from({ length: count }, async (_, index) => {
    while (!isStopped()) await write(`app-${index + 1}`)
  })
  return {
    transitions: () => transitions,
    async stop() {
      stopped = true
      await Promise.all(running)
    },
  }
}

export async function makeApps(admin: pg.Client, count: number): Promise<void> {
  await admin.query(
    `insert into bloud.apps (name, display_name, version, status)
     select 'app-' || i, 'App', '1', 'queued' from generate_series(1, $1) i`,
    [count],
  )
  for (const status of ['configuring', 'building', 'starting', 'running']) {
    await admin.query('update bloud.apps set status = $1', [status])
  }
}

/**
 * Returns how many existing events clients did not receive. An event that two clients missed counts twice.
 */
export async function countLost(admin: pg.Client, { gaps }: Tally): Promise<number> {
  let lost = 0
  for (const [gap, clients] of gaps) {
    const { rows } = await admin.query(
      'select count(*) as count from bloud.events where seq between $1 and $2',
      gap.split('-'),
    )
    lost += Number(rows[0].count) * clients
  }
  return lost
}

export async function headOf(admin: pg.Client): Promise<number> {
  return Number((await admin.query('select seq from bloud.stream_head()')).rows[0].seq)
}
