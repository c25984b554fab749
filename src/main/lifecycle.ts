/** Services that are started one after the other and stopped in reverse order. */

import type { Logger } from '../log.ts'
import { withTimeout } from '../system/timeout.ts'

export interface Service {
  name: string
  start(): Promise<void>
  /** Stops the service. Also called if `start` has failed or is still running. */
  stop(): Promise<void>
  /** Upper limit of `stop` in milliseconds; the next service is then stopped without waiting longer. */
  stopLimitMs: number
  /** Kills the service at once; used when the operator presses Ctrl-C twice. */
  kill?(): void
}

export interface Lifecycle {
  /** Starts a service. @throws the error of its `start`, or an error if the lifecycle is stopping. */
  add(service: Service): Promise<void>
  /** Stops all services, the last one first. Idempotent. */
  stop(): Promise<void>
  /** Kills all services at once. */
  kill(): void
  /** True after the first call of `stop`. */
  readonly stopping: boolean
}

export function createLifecycle(log: Logger): Lifecycle {
  const services: Service[] = []
  let stopped: Promise<void> | null = null

  async function add(service: Service): Promise<void> {
    if (stopped) throw new Error(`${service.name} is not started: the agent is stopping`)
    services.push(service)
    await service.start()
  }

  async function stopAll(): Promise<void> {
    for (const service of services.toReversed()) {
      const done = service.stop().then(
        () => 'done',
        (error) => `failed: ${error}`,
      )
      const outcome =
        (await withTimeout(done, service.stopLimitMs)) ?? `not done within ${service.stopLimitMs / 1000} s`
      if (outcome !== 'done') log.error({ service: service.name }, `stopping the ${service.name}: ${outcome}`)
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
      for (const service of services) service.kill?.()
    },
    get stopping() {
      return stopped !== null
    },
  }
}
