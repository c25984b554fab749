/**
 * Database driver for the pool that limits the wait for an answer in this process. PostgreSQL also cancels
 * slow statements, but the error of PostgreSQL never arrives over a dead connection.
 */
import { createPgDriverFactory } from '@slonik/pg-driver'
import pg from 'pg'
import type { DriverClient, DriverFactory } from 'slonik'
import { withTimeout } from '../system/timeout.ts'

/**
 * PostgreSQL client with a listener for `error` events, because Node ends a process after an `error` event
 * without a listener. Seen: a starting relay ended when its connection was lost while slonik read the
 * server's types. The listener does nothing, because the query rejects as well.
 */
class SafeClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.on('error', () => undefined)
  }
}
;(pg as { Client: typeof pg.Client }).Client = SafeClient

/**
 * Error for an answer that did not arrive in time. `translate` treats the words "timeout expired" as a lost
 * connection.
 */
class NoAnswerError extends Error {
  constructor(milliseconds: number) {
    super(`no answer from the database within ${milliseconds} ms: timeout expired`)
  }
}

/**
 * Returns the client with a `destroy` event that is always emitted. slonik removes a connection from its pool
 * on that event, but a connection lost during a query never emits the event. Seen: after some losses the pool
 * had no connections left, and all callers waited forever.
 */
function withReliableDestroy(client: DriverClient, onEnd: () => void): DriverClient {
  const listeners = new Set<() => void>()
  let ended = false

  function emitDestroy(): void {
    if (ended) return
    ended = true
    onEnd()
    for (const listener of [...listeners]) listener()
  }

  client.on('destroy', emitDestroy)
  const on = (event: string, listener: () => void) =>
    event === 'destroy' ? listeners.add(listener) : client.on(event as 'release', listener)
  const off = (event: string, listener: () => void) =>
    event === 'destroy' ? listeners.delete(listener) : client.off(event as 'release', listener)
  return {
    ...client,
    on: on as unknown as DriverClient['on'],
    off: off as unknown as DriverClient['off'],
    removeListener: off as unknown as DriverClient['removeListener'],
    destroy: () => client.destroy().catch(emitDestroy),
  }
}

/**
 * Creates a driver that rejects a query after `milliseconds`; slonik then closes the connection of that
 * query. The driver also closes idle connections, because each may be dead and cost the next caller the same
 * wait.
 */
export function createTimeLimitedDriver(milliseconds: number): DriverFactory {
  const createDriver = createPgDriverFactory()
  return async (setup) => {
    const driver = await createDriver(setup)
    const clients = new Set<DriverClient>()

    function endIdle(): void {
      for (const client of clients) if (client.state() === 'IDLE') void client.destroy()
    }

    async function createClient(): Promise<DriverClient> {
      const raw = await driver.createClient()
      const client = withReliableDestroy(raw, () => clients.delete(client))
      clients.add(client)
      const query: DriverClient['query'] = (text, values) =>
        withTimeout(raw.query(text, values), milliseconds, () => {
          endIdle()
          return new NoAnswerError(milliseconds)
        })
      return { ...client, query }
    }

    return { createClient }
  }
}
