/**
 * Database driver that limits the wait for an answer. The statement timeout of PostgreSQL is not enough,
 * because its error cannot arrive over a dead connection.
 */
import { createPgDriverFactory } from '@slonik/pg-driver'
import pg from 'pg'
import type { DriverClient, DriverFactory } from 'slonik'
import { withTimeout } from '../system/timeout.ts'

/**
 * PostgreSQL client that ignores `error` events. Node ends a process after an `error` event without a
 * listener, so a lost connection would end the whole process.
 */
class SafeClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.on('error', () => undefined)
  }
}
;(pg as { Client: typeof pg.Client }).Client = SafeClient

/**
 * Error for an answer that did not arrive in time. The text "timeout expired" makes the function `translate`
 * treat the error as a lost connection.
 */
class NoAnswerError extends Error {
  constructor(milliseconds: number) {
    super(`no answer from the database within ${milliseconds} ms: timeout expired`)
  }
}

/**
 * Returns a client that emits `destroy` even if its connection is lost during a query. Without this event,
 * slonik keeps the dead connection in its pool, and all later queries wait forever.
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
 * Creates a driver that rejects a query without an answer after `milliseconds`. The driver then closes the
 * connection, and all idle ones too, because the same network failure may have cut these connections.
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
      let unanswered = false
      const query: DriverClient['query'] = async (text, values) => {
        // After a query without an answer, slonik sends ROLLBACK, which can't run beside that query.
        if (unanswered) throw new NoAnswerError(milliseconds)
        return withTimeout(raw.query(text, values), milliseconds, () => {
          unanswered = true
          endIdle()
          void client.destroy()
          return new NoAnswerError(milliseconds)
        })
      }
      return { ...client, query }
    }

    return { createClient }
  }
}
