/** The clients of the stream. Of each only this is kept: where it stands, and references to shared bytes it is in the
 *  middle of. A client that was full goes on from the ring. */

import type { ResetReason } from './eventid.ts'
import type { Filter } from './filter.ts'
import { positionFrame, resetFrame } from './frame.ts'
import type { Ring } from './ring.ts'
import {
  createSendQueue,
  discard,
  drain,
  isIdle,
  isStuck,
  resume,
  type SendQueue,
  type Sink,
  send,
} from './sendqueue.ts'

/** `waiting`: needs its place found, or a snapshot. `old`: reads pages. `live`: reads the ring. */
export type ClientStage = 'waiting' | 'old' | 'live'

export interface Client {
  readonly queue: SendQueue
  stage: ClientStage
  /** The last event it was given, by itself or as part of a snapshot. */
  cursor: number
  /** The id it came with, until its place is found. */
  resumeId: string | undefined
  /** Undefined: all apps. */
  readonly filter: Filter | undefined
  /** Up to where its cursor moved over events of other apps, and it does not know. */
  unreported: number
}

export interface ClientsOptions {
  ring: Ring
  /** Milliseconds after which a client that takes nothing is closed. */
  stuckMs: number
  /** A client lost its place and needs a snapshot. */
  onReset(client: Client): void
  /** A client that reads pages takes more. */
  onBacklogWritable(client: Client): void
}

export type Clients = ReturnType<typeof createClients>

export function createClients(options: ClientsOptions) {
  const { ring } = options
  const all = new Set<Client>()

  function add(sink: Sink, resumeId: string | undefined, filter: Filter | undefined): Client {
    const client: Client = {
      queue: createSendQueue(sink),
      stage: 'waiting',
      cursor: 0,
      resumeId,
      filter,
      unreported: 0,
    }
    all.add(client)
    return client
  }

  function remove(client: Client): void {
    discard(client.queue)
    all.delete(client)
  }

  function reset(client: Client, reason: ResetReason): void {
    client.stage = 'waiting'
    client.resumeId = undefined
    send(client.queue, resetFrame(reason))
    options.onReset(client)
  }

  /** Gives a client whatever it can take now. */
  function pump(client: Client): void {
    while (drain(client.queue) && client.stage === 'live') {
      if (!ring.covers(client.cursor)) {
        reset(client, 'too_slow')
        return
      }
      const batch = ring.after(client.cursor, client.filter)
      if (!batch) return
      client.cursor = batch.seq
      if (client.filter) client.unreported = batch.seq
      send(client.queue, batch.bytes)
    }
  }

  function writable(client: Client): void {
    if (client.queue.closed || !resume(client.queue)) return
    pump(client)
    if (client.stage === 'old' && isIdle(client.queue)) options.onBacklogWritable(client)
  }

  function close(client: Client): void {
    remove(client)
    client.queue.sink.close()
  }

  return {
    add,
    remove,
    reset,
    pump,
    writable,
    pumpAll(): void {
      for (const client of all) pump(client)
    },
    /** A notice between events, to whoever takes it now. Never queued: the next one says the same. */
    broadcast(bytes: Uint8Array): void {
      for (const client of all) if (isIdle(client.queue)) send(client.queue, bytes)
    },
    /** Tells who follows some apps how far it has come over those of others, so that it does not resume from long ago. */
    sendPositions(epoch: string): void {
      for (const client of all) {
        if (client.stage !== 'live' || client.unreported === 0 || !isIdle(client.queue)) continue
        send(client.queue, positionFrame({ epoch, seq: client.unreported }))
        client.unreported = 0
      }
    },
    /** Everybody who had a place starts anew. */
    resetAll(reason: ResetReason): void {
      for (const client of [...all]) if (client.stage !== 'waiting') reset(client, reason)
    },
    /** How many were closed because they took nothing. */
    closeStuck(): number {
      const stuck = [...all].filter((client) => isStuck(client.queue, options.stuckMs))
      for (const client of stuck) close(client)
      return stuck.length
    },
    endAll(): void {
      for (const client of [...all]) {
        remove(client)
        client.queue.sink.end()
      }
    },
    get size() {
      return all.size
    },
  }
}
