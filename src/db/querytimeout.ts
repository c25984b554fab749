/**
 * Driver of the pool that limits the wait for an answer on the client side. PostgreSQL ends a slow statement
 * itself, but reports that over the connection; if the connection is dead, the report never arrives.
 */
import { createPgDriverFactory } from '@slonik/pg-driver'
import pg from 'pg'
import type { DriverClient, DriverFactory } from 'slonik'
import { withTimeout } from '../system/timeout.ts'

/**
 * Client with a listener for `error` events. slonik queries the types of the server over a client without
 * one: a connection lost during that query ended the process (seen: a relay that had just started). The event
 * can be ignored, because the query rejects as well.
 */
class SafeClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.on('error', () => undefined)
  }
}
;(pg as { Client: typeof pg.Client }).Client = SafeClient

/** No answer arrived in time. `translate` recognizes "timeout expired" as a lost connection. */
class NoAnswerError extends Error {
  constructor(milliseconds: number) {
    super(`no answer from the database within ${milliseconds} ms: timeout expired`)
  }
}

/**
 * Returns the client with a `destroy` event that is always emitted. slonik removes a connection from its pool
 * on that event, but a connection lost during a query never emits it, because its end waits for that query,
 * which fails. The pool lost one connection each time (seen: after as many losses as its size, all callers
 * and its `end` wait forever).
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
 * Creates a driver that rejects a query after `milliseconds`. slonik then ends the connection of that query;
 * the driver ends the idle connections too, because each of them would cost the next caller the same wait.
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
