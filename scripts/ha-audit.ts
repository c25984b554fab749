/**
 * Writers and auditor of scripts/ha.ts. Writers remember each operation that was accepted, and a client of
 * the event stream remembers each event. After the failovers both are compared with the database.
 */
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

const PAUSE_MS = 20
/** Pause of a writer that cancels. Without it, the rebuilds of the other writers would hardly end. */
const CANCEL_PAUSE_MS = 200
const QUERY_LIMIT_MS = 5_000
const CONNECT_LIMIT_MS = 2_000
/** Time after which a stream without a message is considered dead. The relay sends a heartbeat every 15 s. */
const STREAM_LIMIT_MS = 40_000

export interface Accepted {
  operation: number
  app: string
  kind: string
}
export interface Seen {
  epoch: string
  seq: number
  app: string
  status: string | null
  at: string
  /** Number of snapshots that the client had received before. */
  segment: number
}

/** Returns a function that runs SQL over one connection, which is opened again after an error. */
function createSession(url: string) {
  let client: pg.Client | null = null
  return {
    async query(text: string, values: unknown[] = []): Promise<Record<string, unknown> | undefined> {
      try {
        if (!client) {
          client = new pg.Client({
            connectionString: url,
            connectionTimeoutMillis: CONNECT_LIMIT_MS,
            query_timeout: QUERY_LIMIT_MS,
          })
          client.on('error', () => undefined)
          await client.connect()
        }
        return (await client.query(text, values)).rows[0]
      } catch (error) {
        // Errors with the class BL are refusals of a verb, after which the connection can be used.
        if (!/^BL/.test((error as { code?: string }).code ?? '')) await close()
        throw error
      }
    },
    close,
  }
  async function close(): Promise<void> {
    const ending = client
    client = null
    await ending?.end().catch(() => undefined)
  }
}

const READ_APP = `
  select a.status, o.state, o.cancel_requested_at as cancelled
  from bloud.apps a left join bloud.operations o on o.id = a.operation_id where a.name = $1`

/** Returns the next verb for an app, or null while its operation is open and not to be cancelled. */
function nextVerb(row: Record<string, unknown> | undefined, cancels: boolean): string | null {
  if (row?.state === 'queued' || row?.state === 'active') return cancels && !row.cancelled ? 'cancel' : null
  if (row?.status === 'running' || row?.status === 'error') return 'uninstall'
  return row?.status === 'failed' ? 'retry' : 'install'
}

interface WriterOptions {
  app: string
  session: ReturnType<typeof createSession>
  request(verb: string): Promise<number>
  /** True if the writer cancels its own operations, which gives more of them. */
  cancels: boolean
}

async function write(
  { app, session, request, cancels }: WriterOptions,
  accepted: Accepted[],
  isOver: () => boolean,
) {
  while (!isOver()) {
    try {
      const verb = nextVerb(await session.query(READ_APP, [app]), cancels)
      if (verb) accepted.push({ operation: await request(verb), app, kind: verb })
    } catch {} // The database is away, or another operation came first.
    await sleep(cancels ? CANCEL_PAUSE_MS : PAUSE_MS)
  }
  await session.close()
}

async function post(url: string): Promise<number> {
  const reply = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(QUERY_LIMIT_MS) })
  if (reply.status !== 202) throw new Error(`${url}: ${reply.status}`)
  return Number(((await reply.json()) as { id: number }).id)
}

/** Starts a writer for each app. Every second writer uses HTTP, the others use SQL and cancel operations. */
export function startWriters(databaseUrl: string, address: string, apps: string[]) {
  const accepted: Accepted[] = []
  let over = false
  const loops = apps.map((app, index) => {
    const session = createSession(databaseUrl)
    const bySql = async (verb: string) =>
      Number((await session.query(`select id from bloud.${verb}($1)`, [app]))?.id)
    const overHttp = (verb: string) => post(`${address}/api/apps/${app}/${verb}`)
    const cancels = index % 2 === 0
    const options = { app, session, request: cancels ? bySql : overHttp, cancels }
    return write(options, accepted, () => over)
  })
  return {
    accepted,
    async stop() {
      over = true
      await Promise.all(loops)
    },
  }
}

/** Renames an app without end, and remembers when each node first accepted that. */
export function startProbe(databaseUrl: string, app: string) {
  const session = createSession(databaseUrl)
  const accepted: Accepted[] = []
  let first: { port: number; at: number } | null = null
  let over = false
  const loop = (async () => {
    for (let round = 0; !over; round += 1) {
      try {
        const row = await session.query(
          'select o.id, inet_server_port() as port from bloud.rename($1, $2) o',
          [app, `Probe ${round}`],
        )
        accepted.push({ operation: Number(row?.id), app, kind: 'rename' })
        if (first?.port !== Number(row?.port)) first = { port: Number(row?.port), at: performance.now() }
      } catch {}
      await sleep(PAUSE_MS)
    }
    await session.close()
  })()
  return {
    accepted,
    /** Returns the time of the first accepted write, or null if the last write was on another port. */
    firstWriteAt: (port: number): number | null => (first?.port === port ? first.at : null),
    async stop() {
      over = true
      await loop
    },
  }
}

/** Range of event numbers whose outcome a snapshot contained, with the number of snapshots before. */
export interface Covered {
  segment: number
  first: number
  last: number
}

/** Reads the event stream without end, and continues after the last event if the connection ends. */
export function openStream(address: string) {
  const seen: Seen[] = []
  const covered: Covered[] = []
  const counts = { connections: 0, resets: 0, outOfOrder: 0 }
  let [id, last, stopped] = ['', 0, false]
  let destroy = () => {}

  function onBlock(block: string): void {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
    const [event, given, data] = [field('event'), field('id'), field('data')]
    if (event === 'reset') counts.resets += 1
    if (!given || (event !== 'app' && event !== 'snapshot')) return
    const [epoch = '', seq] = [given.slice(0, given.lastIndexOf('.')), Number(given.split('.').at(-1))]
    if (event === 'snapshot') covered.push({ segment: covered.length, first: last + 1, last: seq })
    else {
      if (seq <= last) counts.outOfOrder += 1
      const { app, to_status: status, at } = JSON.parse(data ?? '{}')
      seen.push({ epoch, seq, app, status, at, segment: covered.length })
    }
    last = seq
    id = given
  }

  function connect(): void {
    if (stopped) return
    counts.connections += 1
    const headers = { accept: 'text/event-stream', ...(id && { 'last-event-id': id }) }
    let [text, over] = ['', false]
    const again = () => {
      if (!over) setTimeout(connect, PAUSE_MS)
      over = true
    }
    const request = get(`${address}/api/events`, { headers, timeout: STREAM_LIMIT_MS }, (answer) => {
      answer.setEncoding('utf8').on('data', (piece: string) => {
        const blocks = (text + piece).split('\n\n')
        text = blocks.pop() ?? ''
        blocks.forEach(onBlock)
      })
      answer.on('close', again).on('error', () => undefined)
    })
    request.on('timeout', () => request.destroy()).on('error', again)
    destroy = () => request.destroy()
  }

  connect()
  return {
    seen,
    covered,
    counts,
    last: () => last,
    stop() {
      stopped = true
      destroy()
    },
  }
}

const COUNT_OPERATIONS = `
  select count(*) as n from jsonb_to_recordset($1) as g(operation bigint, app text, kind text)
  where exists (select from bloud.operations o where o.id = g.operation and o.app = g.app
    and (g.kind = 'rename') = (o.kind = 'rename')
    and (g.kind <> 'cancel' or o.cancel_requested_at is not null or o.state = 'cancelled'))
  and (g.kind = 'rename' or exists (select from bloud.events e where e.operation_id = g.operation and e.app = g.app))`
const SEEN = 'jsonb_to_recordset($1) as g(seq bigint, app text, status text, at timestamptz, segment int)'
const IS_SAME = `g.seq = e.seq and g.app = e.app and g.status is not distinct from e.to_status
  and date_trunc('milliseconds', g.at) = date_trunc('milliseconds', e.at)`
const FIND_LOST = `
  select coalesce(jsonb_agg(l), '[]') as lost from (
    select g.segment, min(g.seq) as first, count(*) as n from ${SEEN}
    where not exists (select from bloud.events e where ${IS_SAME}) group by g.segment) l`
const COUNT_MISSED = `
  select count(*) as n from bloud.events e
  where not exists (select from ${SEEN} where ${IS_SAME})
  and not exists (select from jsonb_to_recordset($2) as c(first bigint, last bigint)
    where e.seq between c.first and c.last)`

/** Compares what clients know with the database of the last primary. */
export async function audit(url: string, accepted: Accepted[], seen: Seen[], covered: Covered[]) {
  const session = createSession(url)
  const count = async (text: string, ...values: unknown[]) => Number((await session.query(text, values))?.n)
  const lostOperations = accepted.length - (await count(COUNT_OPERATIONS, JSON.stringify(accepted)))
  const row = await session.query(FIND_LOST, [JSON.stringify(seen)])
  const lost = row?.lost as { segment: number; first: number; n: number }[]
  const lostEvents = lost.reduce((sum, { n }) => sum + n, 0)
  // Where events were lost, other events have their numbers. The next snapshot contains those too.
  const ranges = covered.map((range) => {
    const found = lost.find(({ segment }) => segment === range.segment)
    return { ...range, first: Math.min(range.first, found?.first ?? range.first) }
  })
  const missed = await count(COUNT_MISSED, JSON.stringify(seen), JSON.stringify(ranges))
  await session.close()
  return { lostOperations, lostEvents, missed }
}
