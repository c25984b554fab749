/** Limits the number of calls that run at the same time, and of calls that wait for their turn. */
import { Problem } from '../domain/problem.ts'

export interface GateLimits {
  /** Number of calls that run at the same time. */
  running: number
  /** Number of calls that wait. Further calls are refused. */
  waiting: number
  /** Time in milliseconds after which a waiting call is refused. */
  waitMs: number
}

export interface Gate {
  /**
   * Runs `work` when fewer than `running` calls run.
   * @throws Problem too_many_requests
   */
  run<T>(work: () => Promise<T>): Promise<T>
}

interface Waiting {
  begin(): void
  timer: NodeJS.Timeout
}

const refusal = () =>
  new Problem('too_many_requests', 'Too many requests wait for the database', {
    hint: 'Try again after the seconds in the Retry-After header.',
  })

export function createGate({ running, waiting, waitMs }: GateLimits): Gate {
  const line = new Set<Waiting>()
  let active = 0

  /** Waits until a running call ends and passes its place on, so `active` stays the same. */
  function awaitTurn(): Promise<void> {
    if (line.size >= waiting) throw refusal()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        line.delete(entry)
        reject(refusal())
      }, waitMs)
      const entry = { begin: resolve, timer }
      line.add(entry)
    })
  }

  function passOn(): void {
    const [next] = line
    if (!next) {
      active -= 1
      return
    }
    line.delete(next)
    clearTimeout(next.timer)
    next.begin()
  }

  return {
    async run(work) {
      if (active >= running) await awaitTurn()
      else active += 1
      try {
        return await work()
      } finally {
        passOn()
      }
    },
  }
}
