/** A limit, on our side, to how long an answer may take. PostgreSQL ends a statement that takes too long, but says so
 *  over a connection that may have died without a word: then nobody would ever hear of it. */
import { createPgDriverFactory } from '@slonik/pg-driver'
import pg from 'pg'
import type { DriverClient, DriverFactory } from 'slonik'
import { withTimeout } from '../system/timeout.ts'

/**
 * slonik asks the server for its types over a client whose errors nobody hears: cut in the midst of that, it ended the
 * process (seen: a relay that had just started). What was asked fails as well, and that is enough.
 */
class SafeClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.on('error', () => undefined)
  }
}
;(pg as { Client: typeof pg.Client }).Client = SafeClient

/** No answer in time. Its message is one that reads as a lost connection. */
class NoAnswerError extends Error {
  constructor(milliseconds: number) {
    super(`no answer from the database within ${milliseconds} ms: timeout expired`)
  }
}

/**
 * slonik takes a connection out of its pool when it says `destroy`. One that is cut during a query never says so, as its
 * end waits for that query, which fails: the pool had one place less for each (seen: after as many as it has places, all
 * callers wait for ever, and so does its end). Here it always says so.
 */
function withReliableDestroy(client: DriverClient, onEnd: () => void): DriverClient {
  const listeners = new Set<() => void>()
  let ended = false

  function tellEnd(): void {
    if (ended) return
    ended = true
    onEnd()
    for (const listener of [...listeners]) listener()
  }

  client.on('destroy', tellEnd)
  const on = (event: string, listener: () => void) =>
    event === 'destroy' ? listeners.add(listener) : client.on(event as 'release', listener)
  const off = (event: string, listener: () => void) =>
    event === 'destroy' ? listeners.delete(listener) : client.off(event as 'release', listener)
  return {
    ...client,
    on: on as unknown as DriverClient['on'],
    off: off as unknown as DriverClient['off'],
    removeListener: off as unknown as DriverClient['removeListener'],
    destroy: () => client.destroy().catch(tellEnd),
  }
}

/**
 * The driver of the pool, with that limit. slonik ends a connection whose query failed; the idle ones, which went the
 * same way to the same server, are ended with it, as each of them would cost the next caller the same wait.
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
