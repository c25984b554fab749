/**
 * Actions of the orchestrator in the model of the database (tests/support/model.ts): rebuilds, health reports
 * and time limits.
 */
import { activeOperations, deleteApp, setStatus, withdraw } from './model-change.ts'
import {
  type Answer,
  type App,
  type Ending,
  installed,
  neededBy,
  type Operation,
  openOperation,
  type World,
} from './model-rules.ts'

/** Starts a rebuild with all queued operations, except installs with missing dependencies. */
export function claim(world: World, held: readonly string[]): Answer {
  if (world.rebuild) return { done: true }
  const taken = new Set<Operation>()
  for (const each of world.operations) {
    if (each.state === 'queued' && each.kind !== 'rename' && !held.includes(each.app)) taken.add(each)
  }
  while (dropOne(world, taken));
  for (const operation of taken) {
    operation.state = 'active'
    if (operation.kind === 'uninstall') continue
    setStatus(world, operation.app, 'configuring', true)
    ;(world.apps[operation.app] as App).configured = true
  }
  if (taken.size > 0) world.rebuild = { begun: false }
  return { done: true }
}

/**
 * Removes one install with a missing dependency from `taken`. The install stays queued if the dependency is
 * queued, otherwise it fails.
 * @returns false if no install has a missing dependency.
 */
function dropOne(world: World, taken: Set<Operation>): boolean {
  const installs = [...taken].filter(({ kind }) => kind === 'install')
  const waits = (name: string): boolean =>
    world.apps[name]?.status === 'queued' && ![...taken].some((each) => each.app === name)
  const unmet = installs.find(({ app }) => neededBy(world, app).some((each) => !installed(world, each)))
  const waiting = installs.find(({ app }) => neededBy(world, app).some(waits))
  const dropped = unmet ?? waiting
  if (dropped) taken.delete(dropped)
  if (unmet) fail(world, unmet, 'failed')
  return dropped !== undefined
}

export function begin(world: World): Answer {
  if (!world.rebuild) return { done: true }
  world.rebuild.begun = true
  for (const { operation, app } of activeOperations(world)) {
    if (app.status === 'configuring') setStatus(world, operation.app, 'building', true)
  }
  return { done: true }
}

function fail(world: World, operation: Operation, state: 'failed' | 'cancelled'): void {
  const app = world.apps[operation.app] as App
  operation.state = state
  if (operation.kind === 'install') setStatus(world, operation.app, 'failed', false)
  // If an uninstall fails, the app gets the status error. An app that had failed before its uninstall was not
  // active, and becomes stopped.
  else if (app.status === 'stopping' && operation.before === 'failed')
    setStatus(world, operation.app, 'stopped', false)
  else if (app.status === 'stopping') setStatus(world, operation.app, 'error', true)
}

function complete(world: World, operation: Operation, failed: boolean): void {
  const app = world.apps[operation.app] as App
  if (operation.kind === 'install') {
    operation.cancelling = false // reverts a cancel request, because the app is already active
    setStatus(world, operation.app, 'starting', true)
    return
  }
  operation.state = failed ? 'failed' : 'succeeded'
  if (operation.purge && !failed) deleteApp(world, operation.app)
  else if (app.status === 'stopping') setStatus(world, operation.app, 'stopped', false)
}

export function end(world: World, { switched, failures, all }: Ending): Answer {
  if (!world.rebuild) return { done: true }
  const batch = activeOperations(world).map(({ operation }) => operation)
  const causes = new Map(Object.entries(failures))
  for (let more = !switched; more; ) {
    const found = batch.find(
      ({ app, kind }) =>
        kind === 'install' && !causes.has(app) && neededBy(world, app).some((each) => causes.has(each)),
    )
    if (found) causes.set(found.app, 'build')
    more = found !== undefined
  }
  let left = 0
  for (const operation of batch) {
    const cause = causes.get(operation.app)
    if (switched) complete(world, operation, operation.purge && cause !== undefined)
    else if (cause) fail(world, operation, cause === 'cancelled' ? 'cancelled' : 'failed')
    else if (all) fail(world, operation, 'failed')
    else left++
  }
  world.rebuild = left > 0 ? { begun: false } : null
  return { done: true }
}

export function health(world: World, name: string, healthy: boolean, held: readonly string[]): Answer {
  const app = world.apps[name]
  if (!app) return { status: null }
  const to = healthy ? 'running' : 'error'
  if (held.includes(name) || app.status === to || !['starting', 'running', 'error'].includes(app.status)) {
    return { status: app.status }
  }
  setStatus(world, name, to, true)
  app.ran ||= healthy
  const open = openOperation(world, name)
  if (open) open.state = healthy ? 'succeeded' : 'failed'
  return { status: to }
}

export function sweep(world: World, after: string, held: readonly string[]): Answer {
  for (const name of Object.keys(world.apps).filter((each) => !held.includes(each))) {
    const { status } = world.apps[name] as App
    const open = openOperation(world, name)
    if (status === 'starting' && after !== 'no time') health(world, name, false, [])
    if (status === 'queued' && after === 'a day' && open) {
      withdraw(world, name, open)
      open.state = 'failed'
    }
    if (status === 'stopping' && after === 'a day' && open?.state === 'queued') fail(world, open, 'failed')
  }
  return { done: true }
}
