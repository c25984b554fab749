/** Starts the parts of the agent (services) one after the other, and stops the services in reverse order. */

import type { Logger } from '../log.ts'
import { withTimeout } from '../system/timeout.ts'

export interface Service {
  name: string
  start(): Promise<void>
  /** Stops the service. Also called if `start` has failed or has not finished. */
  stop(): Promise<void>
  /** Upper limit of the duration of `stop`, in ms. After this time, the next service is stopped. */
  stopLimitMs: number
  /** Kills the service without waiting for its end. Called if the operator presses Ctrl-C twice. */
  kill?(): void
}

export interface Lifecycle {
  /**
   * Starts services at the same time. `stop` later stops them in reverse order.
   * @throws an error if a start fails or if the services have already been stopped.
   */
  add(...services: Service[]): Promise<void>
  /** Stops all services, the last started service first. Further calls have no effect. */
  stop(): Promise<void>
  kill(): void
  readonly stopping: boolean
}

export function createLifecycle(log: Logger): Lifecycle {
  const services: Service[] = []
  let stopped: Promise<void> | null = null

  async function add(...added: Service[]): Promise<void> {
    if (stopped) throw new Error(`${added[0]?.name} is not started: the agent is stopping`)
    services.push(...added)
    await Promise.all(
      added.map(async (service) => {
        await service.start()
        log.debug({ service: service.name, started: true }, `the ${service.name} has started`)
      }),
    )
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
