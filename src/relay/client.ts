/**
 * Clients of the event stream. A client needs little memory, because all clients share the encoded events.
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
 * Stage of a client. In stage `waiting`, the client gets no events yet. In stage `backlog`, the client gets
 * old events from the database; in stage `live`, new events from the ring buffer.
 */
export type ClientStage = 'waiting' | 'backlog' | 'live'

export interface Client {
  readonly queue: SendQueue
  stage: ClientStage
  /** Event number (seq) up to which the client is up to date. */
  cursor: number
  /**
   * Id of the last event that a reconnecting client has received. Undefined for a new client, and as soon as
   * the relay has checked the id.
   */
  resumeId: string | undefined
  readonly filter: Filter | undefined
  /** Event number (seq) that `sendPositions` must send to a client with a filter, else 0. */
  unreported: number
}

export interface ClientsOptions {
  ring: Ring
  stuckMs: number
  onReset(client: Client): void
  /** Called when a client that gets old events from the database (stage `backlog`) can receive more data. */
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

  /** Sends the event `reset` to the client, which then gets a snapshot. */
  function reset(client: Client, reason: ResetReason): void {
    client.stage = 'waiting'
    client.resumeId = undefined
    send(client.queue, resetFrame(reason))
    options.onReset(client)
  }

  /**
   * Writes queued bytes and new events to the client, until its connection is full or the client is up to
   * date.
   */
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
     * Sends bytes to all clients whose send queue is empty. Other clients are skipped, so that their queues
     * do not grow.
     */
    broadcast(bytes: Uint8Array): void {
      for (const client of all) if (isIdle(client.queue)) send(client.queue, bytes)
    },
    /** Sends bytes to those clients of `some` whose send queue is empty, and removes them from `some`. */
    sendTo(some: Set<Client>, bytes: Uint8Array): void {
      for (const client of some) {
        if (!client.queue.closed && !isIdle(client.queue)) continue
        some.delete(client)
        if (!client.queue.closed) send(client.queue, bytes)
      }
    },
    /**
     * Sends the newest event number to clients with a filter. Otherwise a client whose filter excluded all
     * new events would reconnect with the id of a very old event.
     */
    sendPositions(epoch: string): void {
      for (const client of all) {
        if (client.stage !== 'live' || client.unreported === 0 || !isIdle(client.queue)) continue
        send(client.queue, positionFrame({ epoch, seq: client.unreported }))
        client.unreported = 0
      }
    },
    resetAll(reason: ResetReason): void {
      for (const client of [...all]) if (client.stage !== 'waiting') reset(client, reason)
    },
    /** Closes the clients whose connection has accepted no data for `stuckMs`. Returns their number. */
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
