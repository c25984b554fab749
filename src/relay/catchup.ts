/** Finds each client its place: from the ring, from old pages, or with a snapshot. */

import { type Page, type Pages, pageAfter } from './backlog.ts'
import type { Client, Clients } from './client.ts'
import { type Place, parseId, type ResetReason, reasonToReset } from './eventid.ts'
import type { Ring } from './ring.ts'
import { isIdle, send } from './sendqueue.ts'
import type { Snapshots } from './snapshot.ts'
import type { Log } from './streamsource.ts'
import type { Tail } from './tail.ts'

export interface SeatsOptions {
  clients: Clients
  ring: Ring
  tail: Tail
  pages: Pages
  snapshots: Snapshots
  log: Log
}

export type Seats = ReturnType<typeof createSeats>

export function createSeats(options: SeatsOptions) {
  const { clients, ring, tail, pages, snapshots } = options
  /** Clients whose place could not be found because the database did not answer. */
  const waiting = new Set<Client>()
  const reading = new Set<Client>()

  function goLive(client: Client, cursor: number): void {
    client.cursor = cursor
    client.stage = 'live'
    clients.pump(client)
  }

  async function giveSnapshot(client: Client): Promise<void> {
    const taken = await snapshots.current()
    // Two snapshots can be on their way to one client, after a reset upon a reset; it needs one.
    if (client.outlet.closed || client.stage !== 'waiting') return
    send(client.outlet, taken.frameFor(client.filter))
    goLive(client, taken.seq)
  }

  /** Gives an old client its next page; a reason when it needs a snapshot instead. */
  function givePage(client: Client, page: Page): ResetReason | undefined {
    if (page.epoch !== tail.head?.epoch) return 'unknown_epoch'
    const { cursor } = client
    // Up to the floor of the ring all is committed, so a number that is missing there is missing for ever.
    const end = Math.max(page.seqs.at(-1) ?? 0, Math.min(page.end, ring.floor))
    if (page.prunedTo > cursor || end <= cursor) return 'older_than_retention'
    client.cursor = end
    if (client.filter) client.untold = end
    send(client.outlet, pageAfter(page, cursor, client.filter))
    return undefined
  }

  async function readPages(client: Client): Promise<void> {
    while (client.stage === 'old' && isIdle(client.outlet)) {
      if (ring.covers(client.cursor)) return goLive(client, client.cursor)
      const page = await pages.at((tail.head as Place).epoch, client.cursor)
      // While it was read the stream may have been reset or closed.
      if (client.stage !== 'old' || client.outlet.closed) return
      const reason = givePage(client, page)
      if (reason) return clients.lose(client, reason)
    }
  }

  /** One reader for each client: a client that is hungry again while its page is read must not get it twice. */
  async function readOld(client: Client): Promise<void> {
    if (reading.has(client)) return
    reading.add(client)
    try {
      await readPages(client)
    } finally {
      reading.delete(client)
    }
  }

  async function resume(client: Client, id: string): Promise<void> {
    const place = parseId(id)
    if (place && place.seq > (tail.head?.seq ?? 0)) await tail.sync()
    const { head } = tail
    if (client.outlet.closed || !head) return
    const reason = reasonToReset(place, head)
    if (reason) return clients.lose(client, reason)
    const { seq } = place as Place
    client.wish = undefined
    if (ring.covers(seq)) return goLive(client, seq)
    client.cursor = seq
    client.stage = 'old'
    await readOld(client)
  }

  function postpone(client: Client, error: unknown): void {
    // The first one is enough to say so; where nothing can be read at all, the tail does.
    const level = waiting.size === 0 && !tail.stale ? 'warn' : 'debug'
    options.log[level]({ error: String(error) }, 'a client waits for the database')
    if (!client.outlet.closed) waiting.add(client)
  }

  async function find(client: Client): Promise<void> {
    if (client.stage === 'old') return readOld(client)
    return client.wish === undefined ? giveSnapshot(client) : resume(client, client.wish)
  }

  function seat(client: Client): void {
    if (!tail.head || tail.stale) waiting.add(client)
    else find(client).catch((error) => postpone(client, error))
  }

  return {
    /** Finds the client its place, now or when the database is back. */
    seat,
    /** The database answers: everybody who waited is seated. */
    seatAll(): void {
      const due = [...waiting]
      waiting.clear()
      for (const client of due) if (!client.outlet.closed) seat(client)
    },
    leave: (client: Client) => waiting.delete(client),
    get waiting() {
      return waiting.size
    },
  }
}
