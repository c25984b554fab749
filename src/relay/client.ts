/** The clients of the stream. Of each only this is kept: where it stands, and references to shared bytes it is in the
 *  middle of. A client that was full goes on from the ring. */

import type { ResetReason } from './eventid.ts'
import type { Filter } from './filter.ts'
import { placeFrame, resetFrame } from './frame.ts'
import type { Ring } from './ring.ts'
import {
  createOutlet,
  discard,
  drain,
  isIdle,
  isStuck,
  type Outlet,
  type Sink,
  send,
  unblock,
} from './sendqueue.ts'

/** `waiting`: needs its place found, or a snapshot. `old`: reads pages. `live`: reads the ring. */
export type Stage = 'waiting' | 'old' | 'live'

export interface Client {
  readonly outlet: Outlet
  stage: Stage
  /** The last event it was given, by itself or as part of a snapshot. */
  cursor: number
  /** The id it came with, until its place is found. */
  wish: string | undefined
  /** Undefined: all apps. */
  readonly filter: Filter | undefined
  /** Up to where its cursor moved over events of other apps, and it does not know. */
  untold: number
}

export interface ClientsOptions {
  ring: Ring
  /** Milliseconds after which a client that takes nothing is closed. */
  stuckMs: number
  /** A client lost its place and needs a snapshot. */
  onLost(client: Client): void
  /** A client that reads pages takes more. */
  onHungry(client: Client): void
}

export type Clients = ReturnType<typeof createClients>

export function createClients(options: ClientsOptions) {
  const { ring } = options
  const all = new Set<Client>()

  function add(sink: Sink, wish: string | undefined, filter: Filter | undefined): Client {
    const client: Client = {
      outlet: createOutlet(sink),
      stage: 'waiting',
      cursor: 0,
      wish,
      filter,
      untold: 0,
    }
    all.add(client)
    return client
  }

  function remove(client: Client): void {
    discard(client.outlet)
    all.delete(client)
  }

  function lose(client: Client, reason: ResetReason): void {
    client.stage = 'waiting'
    client.wish = undefined
    send(client.outlet, resetFrame(reason))
    options.onLost(client)
  }

  /** Gives a client whatever it can take now. */
  function pump(client: Client): void {
    while (drain(client.outlet) && client.stage === 'live') {
      if (!ring.covers(client.cursor)) {
        lose(client, 'too_slow')
        return
      }
      const batch = ring.after(client.cursor, client.filter)
      if (!batch) return
      client.cursor = batch.seq
      if (client.filter) client.untold = batch.seq
      send(client.outlet, batch.bytes)
    }
  }

  function writable(client: Client): void {
    if (client.outlet.closed || !unblock(client.outlet)) return
    pump(client)
    if (client.stage === 'old' && isIdle(client.outlet)) options.onHungry(client)
  }

  function close(client: Client): void {
    remove(client)
    client.outlet.sink.close()
  }

  return {
    add,
    remove,
    lose,
    pump,
    writable,
    pumpAll(): void {
      for (const client of all) pump(client)
    },
    /** A notice between events, to whoever takes it now. Never queued: the next one says the same. */
    tell(bytes: Uint8Array): void {
      for (const client of all) if (isIdle(client.outlet)) send(client.outlet, bytes)
    },
    /** Tells who follows some apps how far it has come over those of others, so that it does not resume from long ago. */
    tellPlaces(epoch: string): void {
      for (const client of all) {
        if (client.stage !== 'live' || client.untold === 0 || !isIdle(client.outlet)) continue
        send(client.outlet, placeFrame({ epoch, seq: client.untold }))
        client.untold = 0
      }
    },
    /** Everybody who had a place starts anew. */
    loseAll(reason: ResetReason): void {
      for (const client of [...all]) if (client.stage !== 'waiting') lose(client, reason)
    },
    /** How many were closed because they took nothing. */
    closeStuck(): number {
      const stuck = [...all].filter((client) => isStuck(client.outlet, options.stuckMs))
      for (const client of stuck) close(client)
      return stuck.length
    },
    endAll(): void {
      for (const client of [...all]) {
        remove(client)
        client.outlet.sink.end()
      }
    },
    get size() {
      return all.size
    },
  }
}
