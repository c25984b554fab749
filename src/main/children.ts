/** Starts the orchestrator and the relay of `npm start` in two steps: their code, then their work. */
import { agentEnvironment } from '../config/childenvironment.ts'
import type { Logger } from '../log.ts'
import { type ChildService, createChildService } from './childservice.ts'
import type { Lifecycle, Service } from './lifecycle.ts'

/**
 * Upper limit of the time in which a child process stops, in ms. A child that ignores SIGTERM is killed after
 * 15 s, so the limit must be larger.
 */
const CHILD_STOP_LIMIT_MS = 20_000

type Child = ChildService & Service

export interface Children {
  orchestrator: Child
  relay: Child
  /** Returns the URL of the database. Must be set before a child is started. */
  urlFor: (role: 'bloud_relay' | 'bloud_orchestrator') => string
}

/** Starts the processes of the orchestrator and the relay, which load their code during the next steps. */
export async function preload(lifecycle: Lifecycle, log: Logger): Promise<Children> {
  function createChild(name: 'orchestrator' | 'relay'): Child {
    const databaseUrl = () => children.urlFor(`bloud_${name}`)
    const service = createChildService({ name, env: agentEnvironment, databaseUrl, log })
    return { name, stopLimitMs: CHILD_STOP_LIMIT_MS, ...service }
  }
  const children: Children = {
    orchestrator: createChild('orchestrator'),
    relay: createChild('relay'),
    urlFor: () => '',
  }
  await lifecycle.add({
    name: 'preloading',
    stopLimitMs: CHILD_STOP_LIMIT_MS,
    async start() {
      children.relay.preload()
      children.orchestrator.preload()
    },
    // Processes that were started are stopped before, each as a service.
    async stop() {
      children.relay.kill()
      children.orchestrator.kill()
    },
  })
  return children
}
