/**
 * Brings each new client of the event stream up to date. The client gets the events that it missed, or a
 * snapshot of all apps if these events are not available.
 */

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
  /** Called when a client goes on after its last event, without a snapshot. */
  onResumed(client: Client): void
}

export type Catchup = ReturnType<typeof createCatchup>

export function createCatchup(options: CatchupOptions) {
  const { clients, ring, tail, backlog, snapshots } = options
  const waiting = new Set<Client>()
  const readingBacklog = new Set<Client>()

  function goLive(client: Client, cursor: number): void {
    client.cursor = cursor
    client.stage = 'live'
    clients.pump(client)
  }

  async function sendSnapshot(client: Client): Promise<void> {
    const snapshot = await snapshots.current()
    // If a client is reset twice within a short time, two snapshots are read for the client. Only the first
    // one is sent.
    if (client.queue.closed || client.stage !== 'waiting') return
    send(client.queue, snapshot.frameFor(client.filter))
    goLive(client, snapshot.seq)
  }

  /** Sends a page of old events to the client. Returns a reason if the client needs a snapshot instead. */
  function sendBacklogPage(client: Client, backlogPage: BacklogPage): ResetReason | undefined {
    if (backlogPage.epoch !== tail.head?.epoch) return 'unknown_epoch'
    const { cursor } = client
    // The relay has read all events up to `ring.evictedTo`. An event number (seq) that is missing up to there
    // belongs to a rolled-back transaction and can be skipped.
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
      // The client may have been reset or disconnected during the read.
      if (client.stage !== 'backlog' || client.queue.closed) return
      const reason = sendBacklogPage(client, backlogPage)
      if (reason) return clients.reset(client, reason)
    }
  }

  /**
   * Sends old events to a client. A second call during a read returns at once, because two reads would send
   * the same events twice.
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

  /** Continues the client's stream after the event with this id, or resets the client. */
  async function resume(client: Client, id: string): Promise<void> {
    const position = parseId(id)
    if (position && position.seq > (tail.head?.seq ?? 0)) await tail.sync()
    const { head } = tail
    if (client.queue.closed || !head) return
    const reason = resetReasonFor(position, head)
    if (reason) return clients.reset(client, reason)
    const { seq } = position as StreamPosition
    client.resumeId = undefined
    options.onResumed(client)
    if (ring.covers(seq)) return goLive(client, seq)
    client.cursor = seq
    client.stage = 'backlog'
    await readBacklog(client)
  }

  function postpone(client: Client, error: unknown): void {
    // One warning per outage is enough. If `tail.stale` is true, the warning has already been logged.
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
    start,
    /** Brings all waiting clients up to date. Called when the database can be read again. */
    startAllWaiting(): void {
      const clientsToStart = [...waiting]
      waiting.clear()
      for (const client of clientsToStart) if (!client.queue.closed) start(client)
    },
    cancel: (client: Client) => waiting.delete(client),
    get waiting() {
      return waiting.size
    },
  }
}
