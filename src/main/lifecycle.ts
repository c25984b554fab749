/** Things that are started one after the other, and stopped in reverse. */

import type { Logger } from '../log.ts'
import { withTimeout } from '../system/timeout.ts'

export interface Service {
  name: string
  start(): Promise<void>
  /** Also called when `start` has failed or is still under way. */
  stop(): Promise<void>
  /** What `stop` may take before it is no longer waited for. Milliseconds. */
  stopLimitMs: number
  /** Ends it without manners, for people who press Ctrl-C twice. */
  kill?(): void
}

export interface Lifecycle {
  /** Starts a part. @throws what its start throws, and when the house is being stopped. */
  add(part: Service): Promise<void>
  /** Stops all parts, the last one first. Idempotent. */
  stop(): Promise<void>
  kill(): void
  readonly stopping: boolean
}

export function createLifecycle(log: Logger): Lifecycle {
  const services: Service[] = []
  let stopped: Promise<void> | null = null

  async function add(part: Service): Promise<void> {
    if (stopped) throw new Error(`${part.name} is not started: the agent is stopping`)
    services.push(part)
    await part.start()
  }

  async function stopAll(): Promise<void> {
    for (const part of services.toReversed()) {
      const done = part.stop().then(
        () => 'done',
        (error) => `failed: ${error}`,
      )
      const outcome = (await withTimeout(done, part.stopLimitMs)) ?? `not done within ${part.stopLimitMs / 1000} s`
      if (outcome !== 'done') log.error({ part: part.name }, `stopping the ${part.name}: ${outcome}`)
    }
  }

  function stop(): Promise<void> {
    stopped ??= stopAll()
    return stopped
  }

  return {
    add,
    stop,
    kill() {
      for (const part of services) part.kill?.()
    },
    get stopping() {
      return stopped !== null
    },
  }
}
