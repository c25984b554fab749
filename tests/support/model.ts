/**
 * Model of the database for tests: computes what a command (install, cancel …) should change, and which
 * errors it may cause. The model was written independently of the SQL, so that a mistake in one of them
 * causes a difference.
 */
import { addOperation, deleteApp, record, setStatus, withdraw } from './model-change.ts'
import { planInstall } from './model-plan.ts'
import {
  type Answer,
  type App,
  type Catalog,
  type Choices,
  type Command,
  installed,
  lastOperation,
  type Operation,
  openOperation,
  refusalOfCancel,
  refusalOfInstall,
  refusalOfRetry,
  refusalOfUninstall,
  type World,
} from './model-rules.ts'
import { begin, claim, end, health, sweep } from './model-work.ts'

export function emptyWorld(catalog: Catalog): World {
  return { catalog, apps: {}, operations: [], rebuild: null, transitions: {} }
}

/**
 * Returns the state after the command, and the result of the command. `before` is not changed.
 * @param held apps that another transaction has locked. The orchestrator skips them.
 */
export function apply(before: World, command: Command, held: readonly string[] = []): [World, Answer] {
  const world = structuredClone(before)
  return [world, answer(world, command, held)]
}

function answer(world: World, command: Command, held: readonly string[]): Answer {
  switch (command.verb) {
    case 'install':
      return install(world, command.app, command.choices)
    case 'uninstall':
    case 'purge':
      return uninstall(world, command.app, command.verb === 'purge')
    case 'retry':
      return retry(world, command.app)
    case 'cancel':
      return cancel(world, command.app)
    case 'rename':
      return rename(world, command.app, command.displayName)
    case 'claim':
      return claim(world, held)
    case 'begin':
      return begin(world)
    case 'end':
      return end(world, command.ending)
    case 'health':
      return health(world, command.app, command.healthy, held)
    case 'sweep':
      return sweep(world, command.after, held)
    case 'takeover':
      return { done: true } // changes nothing in the model, because another worker continues the rebuild
  }
}

const refused = (...codes: string[]): Answer => ({ refused: codes })

function install(world: World, name: string, choices: Choices): Answer {
  const open = openOperation(world, name)
  if (open?.kind === 'install' && !open.cancelling) return detach(open)
  const own = refusalOfInstall(world, name)
  if (own) return refused(own)
  const plan = planInstall(world, name, choices)
  if (plan.blockers.length > 0) return refused(...plan.blockers)
  const requested = queue(world, name, plan.config[name] ?? {}, { choices })
  for (const each of plan.installs.filter((other) => other !== name)) {
    queue(world, each, plan.config[each] ?? {}, { requestedFor: requested.name })
  }
  return { operation: requested.name }
}

/**
 * Called for an install or retry of an app that is queued as a dependency. The app then stays queued even if
 * the install that requires it is cancelled.
 */
function detach(open: Operation): Answer {
  if (open.state === 'queued') open.requestedFor = null
  return { operation: open.name }
}

function queue(world: World, name: string, config: App['config'], more: Partial<Operation>): Operation {
  const operation = addOperation(world, name, 'install', more)
  const app = world.apps[name]
  if (app) {
    setStatus(world, name, 'queued', app.wanted)
    Object.assign(app, { config, operation: operation.name })
    return operation
  }
  record(world, name, null, 'queued')
  world.apps[name] = {
    status: 'queued',
    wanted: false,
    displayName: name,
    config,
    ran: false,
    configured: false,
    operation: operation.name,
  }
  return operation
}

function uninstall(world: World, name: string, purge: boolean): Answer {
  const open = openOperation(world, name)
  if (open?.kind === 'uninstall' && (open.state === 'queued' || open.purge || !purge)) {
    open.purge ||= purge
    return { operation: open.name }
  }
  const refusal = refusalOfUninstall(world, name, purge)
  if (refusal) return refused(refusal)
  const app = world.apps[name] as App
  const wasWanted = app.wanted
  if (open) {
    open.state = 'superseded'
    if (app.status === 'queued' && !app.configured) {
      deleteApp(world, name)
      withdrawDependencies(world, open)
      return { operation: open.name }
    }
    if (app.status === 'queued') {
      withdraw(world, name, open)
      withdrawDependencies(world, open)
    }
    if (app.status === 'stopped' && !purge) return { operation: open.name }
  }
  const before = wasWanted && app.status === 'failed' ? 'error' : app.status
  const requested = addOperation(world, name, 'uninstall', { purge, before })
  if (app.status !== 'stopped') setStatus(world, name, 'stopping', false)
  app.operation = requested.name
  return { operation: requested.name }
}

/** Withdraws the queued installs of dependencies, except those that another app also requires. */
function withdrawDependencies(world: World, requester: Operation): void {
  const waiting = world.operations.filter(
    (each) => each.requestedFor === requester.name && each.state === 'queued',
  )
  for (const each of waiting.reverse()) {
    if (isUsed(world, each.app)) continue
    each.state = requester.state
    if (world.apps[each.app]?.configured) withdraw(world, each.app, each)
    else deleteApp(world, each.app)
  }
}

const isUsed = (world: World, name: string): boolean =>
  Object.entries(world.apps).some(
    ([other, { config }]) =>
      other !== name && installed(world, other) && Object.values(config).flat().includes(name),
  )

function retry(world: World, name: string): Answer {
  const open = openOperation(world, name)
  if (open?.kind === 'install' && !open.cancelling) return detach(open)
  const before = world.operations.filter(({ app, kind }) => app === name && kind !== 'rename').at(-2)
  const again = before?.kind === 'uninstall' && before.state === 'failed'
  if (open?.kind === 'uninstall' && again) return { operation: open.name }
  const refusal = refusalOfRetry(world, name)
  if (refusal) return refused(refusal)
  const last = lastOperation(world, world.apps[name] as App)
  if (last.kind === 'uninstall' && last.state === 'failed') return uninstall(world, name, last.purge)
  return install(world, name, last.choices)
}

function cancel(world: World, name: string): Answer {
  const open = openOperation(world, name)
  if (open?.cancelling) return { operation: open.name }
  const refusal = refusalOfCancel(world, name)
  if (refusal || !open) return refused(refusal ?? 'BL013')
  if (open.state === 'active') {
    open.cancelling = true
    return { operation: open.name }
  }
  open.state = 'cancelled'
  if (open.kind === 'install') {
    withdraw(world, name, open)
    withdrawDependencies(world, open)
  } else if (world.apps[name]?.status === 'stopping') setStatus(world, name, 'error', true)
  return { operation: open.name }
}

function rename(world: World, name: string, displayName: string): Answer {
  const app = world.apps[name]
  if (!app) return refused('BL005')
  app.displayName = displayName
  return { operation: addOperation(world, name, 'rename', { state: 'succeeded', before: null }).name }
}
