/** Functions that change the state of the model of the database (tests/support/model.ts). */
import type { App, Operation, Status, World } from './model-rules.ts'

export function activeOperations(world: World): { operation: Operation; app: App }[] {
  return world.operations.flatMap((operation) => {
    const app = world.apps[operation.app]
    const isActive = operation.state === 'active' && app?.operation === operation.name
    return isActive && app.status !== 'starting' ? [{ operation, app }] : []
  })
}

export function record(world: World, app: string, from: Status | null, to: Status | null): void {
  world.transitions[app] = [...(world.transitions[app] ?? []), `${from ?? ''}→${to ?? ''}`]
}

export function setStatus(world: World, name: string, to: Status, wanted: boolean): void {
  const app = world.apps[name]
  if (!app) throw new Error(`${name} has no row to set to ${to}`)
  record(world, name, app.status, to)
  app.status = to
  app.wanted = wanted
}

export function deleteApp(world: World, name: string): void {
  record(world, name, world.apps[name]?.status ?? null, null)
  delete world.apps[name]
}

export function addOperation(
  world: World,
  app: string,
  kind: Operation['kind'],
  more: Partial<Operation>,
): Operation {
  const name = `${app}#${world.operations.filter((each) => each.app === app).length + 1}`
  const before = world.apps[app]?.status ?? null
  const operation: Operation = {
    name,
    app,
    kind,
    state: 'queued',
    purge: false,
    cancelling: false,
    choices: {},
    before,
    requestedFor: null,
    ...more,
  }
  world.operations.push(operation)
  return operation
}

/**
 * Removes the queued install of an app. The app becomes stopped if it was stopped before, otherwise failed.
 */
export function withdraw(world: World, name: string, operation: Operation): void {
  const app = world.apps[name] as App
  const wasStopped = operation.before === 'stopped' || (app.ran && !app.wanted)
  setStatus(world, name, wasStopped ? 'stopped' : 'failed', false)
}
