/** Brings each new client up to date: from the ring, from the backlog or with a snapshot. */

import { type Backlog, type BacklogPage, backlogBytesAfter } from './backlog.ts'
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
  /** Clients that cannot be brought up to date until the database answers. */
  const waiting = new Set<Client>()
  /** Clients with a backlog read in progress. */
  const readingBacklog = new Set<Client>()

  /** From now on the client reads the ring. */
  function goLive(client: Client, cursor: number): void {
    client.cursor = cursor
    client.stage = 'live'
    clients.pump(client)
  }

  async function sendSnapshot(client: Client): Promise<void> {
    const snapshot = await snapshots.current()
    // Two resets in a row can request two snapshots for one client; the second is dropped.
    if (client.queue.closed || client.stage !== 'waiting') return
    send(client.queue, snapshot.frameFor(client.filter))
    goLive(client, snapshot.seq)
  }

  /** Sends the next backlog page. Returns a reason if the client needs a snapshot instead. */
  function sendBacklogPage(client: Client, backlogPage: BacklogPage): ResetReason | undefined {
    if (backlogPage.epoch !== tail.head?.epoch) return 'unknown_epoch'
    const { cursor } = client
    // Events up to `ring.evictedTo` were read in order, so a seq that is missing there was rolled back.
    const end = Math.max(backlogPage.seqs.at(-1) ?? 0, Math.min(backlogPage.end, ring.evictedTo))
    if (backlogPage.prunedTo > cursor || end <= cursor) return 'older_than_retention'
    client.cursor = end
    if (client.filter) client.unreported = end
    send(client.queue, backlogBytesAfter(backlogPage, cursor, client.filter))
    return undefined
  }

  async function sendBacklog(client: Client): Promise<void> {
    while (client.stage === 'backlog' && isIdle(client.queue)) {
      if (ring.covers(client.cursor)) return goLive(client, client.cursor)
      const backlogPage = await backlog.at((tail.head as StreamPosition).epoch, client.cursor)
      // The stream may have been reset or closed during the read.
      if (client.stage !== 'backlog' || client.queue.closed) return
      const reason = sendBacklogPage(client, backlogPage)
      if (reason) return clients.reset(client, reason)
    }
  }

  /**
   * Sends the backlog to a client. Only one read is in progress for each client: its sink can become writable
   * during the read, and a second read would send the page twice.
   */
  async function readBacklog(client: Client): Promise<void> {
    if (readingBacklog.has(client)) return
    readingBacklog.add(client)
    try {
      await sendBacklog(client)
    } finally {
      readingBacklog.delete(client)
    }
  }

  /** Continues after the id that the client sent, or resets the client. */
  async function resume(client: Client, id: string): Promise<void> {
    const position = parseId(id)
    if (position && position.seq > (tail.head?.seq ?? 0)) await tail.sync()
    const { head } = tail
    if (client.queue.closed || !head) return
    const reason = resetReasonFor(position, head)
    if (reason) return clients.reset(client, reason)
    const { seq } = position as StreamPosition
    client.resumeId = undefined
    if (ring.covers(seq)) return goLive(client, seq)
    client.cursor = seq
    client.stage = 'backlog'
    await readBacklog(client)
  }

  function postpone(client: Client, error: unknown): void {
    // One warning is enough for all waiting clients; if no read succeeds at all, the tail logs it.
    const level = waiting.size === 0 && !tail.stale ? 'warn' : 'debug'
    options.log[level]({ error: String(error) }, 'a client waits until the database answers')
    if (!client.queue.closed) waiting.add(client)
  }

  async function catchUp(client: Client): Promise<void> {
    if (client.stage === 'backlog') return readBacklog(client)
    return client.resumeId === undefined ? sendSnapshot(client) : resume(client, client.resumeId)
  }

  function start(client: Client): void {
    if (!tail.head || tail.stale) waiting.add(client)
    else catchUp(client).catch((error) => postpone(client, error))
  }

  return {
    /** Brings the client up to date, now or as soon as the database answers. */
    start,
    /** Brings all waiting clients up to date, because the database answers again. */
    startAllWaiting(): void {
      const clientsToStart = [...waiting]
      waiting.clear()
      for (const client of clientsToStart) if (!client.queue.closed) start(client)
    },
    /** Removes a disconnected client from the waiting ones. */
    cancel: (client: Client) => waiting.delete(client),
    /** Number of waiting clients. */
    get waiting() {
      return waiting.size
    },
  }
}
