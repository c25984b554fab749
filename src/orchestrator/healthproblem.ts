/** Finds out why an app is not healthy: who listens on its port, and how it answers. */
import type { Host, UnitState, WantedApp } from '../host/index.ts'
import { probe } from '../host/probe.ts'

export interface HealthProblem {
  text: string
  /** True if the next probe can't succeed as long as the operator does nothing. */
  isCertain: boolean
  /** Returns the message for the operator, given the displayed name of the app. */
  message(name: string): string
  hint: string
}

const unhealthy = (text: string): HealthProblem => ({
  text,
  isCertain: false,
  message: (name) => `${name} is not healthy: ${text}`,
  hint: 'Read its last log lines, then retry.',
})

const portTaken = (port: number, program: string): HealthProblem => ({
  text: `port ${port} is used by ${program}`,
  isCertain: true,
  message: (name) => `Port ${port} of ${name} is used by another program: ${program}`,
  hint: 'Stop that program or change its port, then retry.',
})

/**
 * Probes an app once. Only the listener of the app's own processes is probed, because another program on the
 * port could answer instead. Where the owner of a listener is not known, the port is probed.
 */
export async function findProblem(
  host: Host,
  app: WantedApp,
  { state }: UnitState,
): Promise<HealthProblem | null> {
  const port = await host.portOwner(app)
  if (port.owner === 'other') return portTaken(app.port, port.program)
  if (state === 'backoff' || state === 'stopped') return unhealthy('its process is not running')
  if (port.owner === 'none') return unhealthy(`it does not listen on port ${app.port} of 127.0.0.1 or ::1`)
  const addresses = port.owner === 'group' ? port.addresses : undefined
  const problem = await probe(app.port, app.catalog.healthCheck, addresses)
  return problem === null ? null : unhealthy(problem)
}
