/**
 * Clients of the stream. A client has only a cursor and references to shared bytes that are partly written,
 * so its memory is small. After backpressure a client continues from the ring.
 */

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

/**
 * `waiting`: needs a position or a snapshot. `backlog`: reads events from the table. `live`: reads the ring.
 */
export type ClientStage = 'waiting' | 'backlog' | 'live'

export interface Client {
  readonly queue: SendQueue
  stage: ClientStage
  /** Seq of the last event that was sent, alone or as part of a snapshot. */
  cursor: number
  /** The `Last-Event-ID` of the connection; undefined once the position is found. */
  resumeId: string | undefined
  /** Apps to send; undefined for all apps. */
  readonly filter: Filter | undefined
  /**
   * Seq up to which events of other apps were skipped, not yet reported to the client; 0 if all is reported.
   */
  unreported: number
}

export interface ClientsOptions {
  ring: Ring
  /** Time without progress after which a full client is closed, in milliseconds. */
  stuckMs: number
  /** A client was reset and needs a snapshot. */
  onReset(client: Client): void
  /** A client that reads the backlog can be written to again. */
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

  /** Sends `reset` with the reason; the client then starts again with a snapshot. */
  function reset(client: Client, reason: ResetReason): void {
    client.stage = 'waiting'
    client.resumeId = undefined
    send(client.queue, resetFrame(reason))
    options.onReset(client)
  }

  /** Writes queued bytes and events of the ring until the client is full or up to date. */
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

  /** Continues to write after backpressure. */
  function writable(client: Client): void {
    if (client.queue.closed || !resume(client.queue)) return
    pump(client)
    if (client.stage === 'backlog' && isIdle(client.queue)) options.onBacklogWritable(client)
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
    /**
     * Sends bytes to all clients that are idle. They are never queued, because the next broadcast replaces
     * them.
     */
    broadcast(bytes: Uint8Array): void {
      for (const client of all) if (isIdle(client.queue)) send(client.queue, bytes)
    },
    /**
     * Sends clients with a filter their position after skipped events, so that they do not resume from an old
     * one.
     */
    sendPositions(epoch: string): void {
      for (const client of all) {
        if (client.stage !== 'live' || client.unreported === 0 || !isIdle(client.queue)) continue
        send(client.queue, positionFrame({ epoch, seq: client.unreported }))
        client.unreported = 0
      }
    },
    /** Resets all clients that have a position. */
    resetAll(reason: ResetReason): void {
      for (const client of [...all]) if (client.stage !== 'waiting') reset(client, reason)
    },
    /** Closes the clients that have been full for longer than the limit, and returns their number. */
    closeStuck(): number {
      const stuck = [...all].filter((client) => isStuck(client.queue, options.stuckMs))
      for (const client of stuck) close(client)
      return stuck.length
    },
    /** Ends all streams. */
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
