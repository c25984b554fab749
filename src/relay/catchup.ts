/** Finds each client its place: from the ring, from old pages, or with a snapshot. */

import { type Backlog, type BacklogPage, pageAfter } from './backlog.ts'
import type { Client, Clients } from './client.ts'
import { parseId, type ResetReason, resetReasonFor, type StreamPosition } from './eventid.ts'
import type { Ring } from './ring.ts'
import { isIdle, send } from './sendqueue.ts'
import type { Snapshots } from './snapshot.ts'
import type { RelayLog } from './streamsource.ts'
import type { Tail } from './tail.ts'

export interface CatchupOptions {
  clients: Clients
  ring: Ring
  tail: Tail
  backlog: Backlog
  snapshots: Snapshots
  log: RelayLog
}

export type Catchup = ReturnType<typeof createCatchup>

export function createCatchup(options: CatchupOptions) {
  const { clients, ring, tail, backlog, snapshots } = options
  /** Clients whose place could not be found because the database did not answer. */
  const waiting = new Set<Client>()
  const readingPages = new Set<Client>()

  function goLive(client: Client, cursor: number): void {
    client.cursor = cursor
    client.stage = 'live'
    clients.pump(client)
  }

  async function sendSnapshot(client: Client): Promise<void> {
    const taken = await snapshots.current()
    // Two snapshots can be on their way to one client, after a reset upon a reset; it needs one.
    if (client.queue.closed || client.stage !== 'waiting') return
    send(client.queue, taken.frameFor(client.filter))
    goLive(client, taken.seq)
  }

  /** Gives an old client its next page; a reason when it needs a snapshot instead. */
  function sendPage(client: Client, page: BacklogPage): ResetReason | undefined {
    if (page.epoch !== tail.head?.epoch) return 'unknown_epoch'
    const { cursor } = client
    // Up to the floor of the ring all is committed, so a number that is missing there is missing for ever.
    const end = Math.max(page.seqs.at(-1) ?? 0, Math.min(page.end, ring.floor))
    if (page.prunedTo > cursor || end <= cursor) return 'older_than_retention'
    client.cursor = end
    if (client.filter) client.unreported = end
    send(client.queue, pageAfter(page, cursor, client.filter))
    return undefined
  }

  async function readPages(client: Client): Promise<void> {
    while (client.stage === 'old' && isIdle(client.queue)) {
      if (ring.covers(client.cursor)) return goLive(client, client.cursor)
      const page = await backlog.at((tail.head as StreamPosition).epoch, client.cursor)
      // While it was read the stream may have been reset or closed.
      if (client.stage !== 'old' || client.queue.closed) return
      const reason = sendPage(client, page)
      if (reason) return clients.reset(client, reason)
    }
  }

  /** One reader for each client: a client that is hungry again while its page is read must not get it twice. */
  async function readBacklog(client: Client): Promise<void> {
    if (readingPages.has(client)) return
    readingPages.add(client)
    try {
      await readPages(client)
    } finally {
      readingPages.delete(client)
    }
  }

  async function resume(client: Client, id: string): Promise<void> {
    const place = parseId(id)
    if (place && place.seq > (tail.head?.seq ?? 0)) await tail.sync()
    const { head } = tail
    if (client.queue.closed || !head) return
    const reason = resetReasonFor(place, head)
    if (reason) return clients.reset(client, reason)
    const { seq } = place as StreamPosition
    client.resumeId = undefined
    if (ring.covers(seq)) return goLive(client, seq)
    client.cursor = seq
    client.stage = 'old'
    await readBacklog(client)
  }

  function postpone(client: Client, error: unknown): void {
    // The first one is enough to say so; where nothing can be read at all, the tail does.
    const level = waiting.size === 0 && !tail.stale ? 'warn' : 'debug'
    options.log[level]({ error: String(error) }, 'a client waits for the database')
    if (!client.queue.closed) waiting.add(client)
  }

  async function catchUp(client: Client): Promise<void> {
    if (client.stage === 'old') return readBacklog(client)
    return client.resumeId === undefined ? sendSnapshot(client) : resume(client, client.resumeId)
  }

  function start(client: Client): void {
    if (!tail.head || tail.stale) waiting.add(client)
    else catchUp(client).catch((error) => postpone(client, error))
  }

  return {
    /** Finds the client its place, now or when the database is back. */
    start,
    /** The database answers: everybody who waited is seated. */
    startAllWaiting(): void {
      const due = [...waiting]
      waiting.clear()
      for (const client of due) if (!client.queue.closed) start(client)
    },
    leave: (client: Client) => waiting.delete(client),
    get waiting() {
      return waiting.size
    },
  }
}
