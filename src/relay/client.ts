/**
 * Clients of the event stream. A client holds only a stream position and references to shared bytes, so the
 * memory per client is small.
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
 * Stage of a client. In stage `waiting`, the client waits for its stream position or a snapshot. In stage
 * `backlog`, the client gets events from the database; in stage `live`, from the ring buffer.
 */
export type ClientStage = 'waiting' | 'backlog' | 'live'

export interface Client {
  readonly queue: SendQueue
  stage: ClientStage
  /** Number (seq) of the last event that was sent to the client, as an event or as part of a snapshot. */
  cursor: number
  /**
   * Value of the `Last-Event-ID` header of the client. Undefined without that header, and after the relay
   * has determined the client's stream position.
   */
  resumeId: string | undefined
  /**
   * Filter for the apps whose events the client gets. Undefined if the client gets the events of all apps.
   */
  readonly filter: Filter | undefined
  /**
   * Number (seq) of the last event that a filter excluded and that must still be reported to the client. The
   * value is 0 if no report is due.
   */
  unreported: number
}

export interface ClientsOptions {
  ring: Ring
  /** Time in milliseconds after which a client whose connection accepts no data is closed. */
  stuckMs: number
  /** Called after a client was reset. The callback sends a snapshot to the client. */
  onReset(client: Client): void
  /** Called when the connection of a client that reads old events (stage `backlog`) accepts data again. */
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

  /** Sends the event `reset` with the reason to the client. The client then continues with a snapshot. */
  function reset(client: Client, reason: ResetReason): void {
    client.stage = 'waiting'
    client.resumeId = undefined
    send(client.queue, resetFrame(reason))
    options.onReset(client)
  }

  /**
   * Writes queued bytes and events of the ring buffer to the client. Stops when the connection is full or the
   * client is up to date.
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

  /** Continues to write to a client after its connection accepts data again. */
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
     * Sends bytes to all clients whose send queue is empty. Clients with queued bytes are skipped, because a
     * later broadcast replaces an earlier broadcast.
     */
    broadcast(bytes: Uint8Array): void {
      for (const client of all) if (isIdle(client.queue)) send(client.queue, bytes)
    },
    /**
     * Sends the current stream position to each client with a filter. Without this position, the client
     * would resume after an old event, although its filter excluded all newer events.
     */
    sendPositions(epoch: string): void {
      for (const client of all) {
        if (client.stage !== 'live' || client.unreported === 0 || !isIdle(client.queue)) continue
        send(client.queue, positionFrame({ epoch, seq: client.unreported }))
        client.unreported = 0
      }
    },
    /**
     * Resets all clients except clients in stage `waiting`, because a waiting client has no stream position
     * that could become invalid.
     */
    resetAll(reason: ResetReason): void {
      for (const client of [...all]) if (client.stage !== 'waiting') reset(client, reason)
    },
    /**
     * Closes the clients whose connection has accepted no data for `stuckMs`. Returns the number of closed
     * clients.
     */
    closeStuck(): number {
      const stuck = [...all].filter((client) => isStuck(client.queue, options.stuckMs))
      for (const client of stuck) close(client)
      return stuck.length
    },
    /** Ends the streams of all clients. */
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
