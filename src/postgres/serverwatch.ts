/**
 * Checks at intervals that the PostgreSQL server accepts new connections. A server can run and serve its old
 * connections although each new one fails, for example because its shared memory was deleted.
 */
import { acceptsConnections } from './server.ts'

/** Interval in ms between the end of a check and the next check. */
const CHECK_INTERVAL_MS = 10_000
/** Pause in ms after a failed check. */
const RETRY_INTERVAL_MS = 2_000
/**
 * Number of consecutive failed checks after which the server is restarted. A check fails at once or after 5 s
 * without an answer, so the server is restarted after 4 to 29 s.
 */
const FAILURE_LIMIT = 3

export interface ServerWatch {
  stop(): void
}

/** Checks the server until `stop` is called, or until FAILURE_LIMIT is reached. Then calls `onFailure`. */
export function watchServer(url: string, onFailure: () => void): ServerWatch {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let failures = 0

  async function check(): Promise<void> {
    failures = (await acceptsConnections(url)) ? 0 : failures + 1
    if (stopped) return
    if (failures >= FAILURE_LIMIT) onFailure()
    else schedule()
  }

  function schedule(): void {
    timer = setTimeout(() => void check(), failures > 0 ? RETRY_INTERVAL_MS : CHECK_INTERVAL_MS).unref()
  }

  schedule()
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
