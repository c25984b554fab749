/**
 * The rules of design.md as a small pure program: what a command does to a world, and what it answers.
 * Written without looking at the SQL for anything but its words, so that the two can disagree.
 *
 *   apply(world, command) → the next world and the answer; the world that was given stays as it was
 */
import { planInstall } from './model-plan.ts'
import {
  type App,
  type Catalog,
  type Choices,
  installed,
  lastOperation,
  neededBy,
  type Operation,
  openOperation,
  refusalOfCancel,
  refusalOfInstall,
  refusalOfRetry,
  refusalOfUninstall,
  type Status,
  type World,
} from './model-rules.ts'

/** What the orchestrator saw when a run of the switch was over. */
export interface Ending {
  switched: boolean
  /** Causes by app: installs that are guilty or were cancelled; when switched, purges that did not succeed. */
  failures: Record<string, 'build' | 'cancelled' | 'activate'>
  /** Without a guilty app nobody is spared. */
  all: boolean
}

export type Command =
  | { verb: 'install'; app: string; choices: Choices }
  | { verb: 'uninstall' | 'purge' | 'retry' | 'cancel'; app: string }
  | { verb: 'rename'; app: string; displayName: string }
  | { verb: 'claim' | 'begin' | 'takeover' }
  | { verb: 'end'; ending: Ending }
  | { verb: 'health'; app: string; healthy: boolean }
  | { verb: 'sweep'; after: 'no time' | 'a minute' | 'a day' }

/** `refused`: the SQLSTATEs allowed, one unless several things stand in the way. */
export type Answer =
  | { refused: string[] }
  | { operation: string }
  | { status: Status | null }
  | { done: true }

export function emptyWorld(catalog: Catalog): World {
  return { catalog, apps: {}, operations: [], rebuild: null, moves: {} }
}

/** @param held apps in somebody's open transaction: the orchestrator does not wait for those. */
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
      return { done: true } // the rebuild goes on under another worker
  }
}

const refused = (...codes: string[]): Answer => ({ refused: codes })

/** The operations at work in the rebuild, with their apps. */
function riding(world: World): { operation: Operation; app: App }[] {
  return world.operations.flatMap((operation) => {
    const app = world.apps[operation.app]
    const rides = operation.state === 'active' && app?.operation === operation.name
    return rides && app.status !== 'starting' ? [{ operation, app }] : []
  })
}

function record(world: World, app: string, from: Status | null, to: Status | null): void {
  world.moves[app] = [...(world.moves[app] ?? []), `${from ?? ''}→${to ?? ''}`]
}

function move(world: World, name: string, to: Status, wanted: boolean): void {
  const app = world.apps[name]
  if (!app) throw new Error(`${name} is not there to move to ${to}`)
  record(world, name, app.status, to)
  app.status = to
  app.wanted = wanted
}

function remove(world: World, name: string): void {
  record(world, name, world.apps[name]?.status ?? null, null)
  delete world.apps[name]
}

function promise(world: World, app: string, kind: Operation['kind'], more: Partial<Operation>): Operation {
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
    cameWith: null,
    ...more,
  }
  world.operations.push(operation)
  return operation
}

function install(world: World, name: string, choices: Choices): Answer {
  const open = openOperation(world, name)
  if (open?.kind === 'install' && !open.cancelling) return keep(open)
  const own = refusalOfInstall(world, name)
  if (own) return refused(own)
  const plan = planInstall(world, name, choices)
  if (plan.blockers.length > 0) return refused(...plan.blockers)
  const asked = queue(world, name, plan.config[name] ?? {}, { choices })
  for (const each of plan.installs.filter((other) => other !== name)) {
    queue(world, each, plan.config[each] ?? {}, { cameWith: asked.name })
  }
  return { operation: asked.name }
}

/** Somebody asked for it itself: it is no longer withdrawn with what brought it along. */
function keep(open: Operation): Answer {
  if (open.state === 'queued') open.cameWith = null
  return { operation: open.name }
}

function queue(world: World, name: string, config: App['config'], more: Partial<Operation>): Operation {
  const operation = promise(world, name, 'install', more)
  const app = world.apps[name]
  if (app) {
    move(world, name, 'queued', app.wanted)
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
  const wasOn = app.wanted
  if (open) {
    open.state = 'superseded'
    if (app.status === 'queued' && !app.configured) {
      remove(world, name)
      withdrawCompanions(world, open)
      return { operation: open.name }
    }
    if (app.status === 'queued') {
      withdraw(world, name, open)
      withdrawCompanions(world, open)
    }
    if (app.status === 'stopped' && !purge) return { operation: open.name }
  }
  const before = wasOn && app.status === 'failed' ? 'error' : app.status
  const removal = promise(world, name, 'uninstall', { purge, before })
  if (app.status !== 'stopped') move(world, name, 'stopping', false)
  app.operation = removal.name
  return { operation: removal.name }
}

/** Out of the queue: as it was before, if that was off. */
function withdraw(world: World, name: string, operation: Operation): void {
  const app = world.apps[name] as App
  const wasOff = operation.before === 'stopped' || (app.ran && !app.wanted)
  move(world, name, wasOff ? 'stopped' : 'failed', false)
}

/** What it brought along goes with it, but for what others use; what needs something goes before that. */
function withdrawCompanions(world: World, asked: Operation): void {
  const waiting = world.operations.filter((each) => each.cameWith === asked.name && each.state === 'queued')
  for (const each of waiting.reverse()) {
    if (isUsed(world, each.app)) continue
    each.state = asked.state
    if (world.apps[each.app]?.configured) withdraw(world, each.app, each)
    else remove(world, each.app)
  }
}

const isUsed = (world: World, name: string): boolean =>
  Object.entries(world.apps).some(
    ([other, { config }]) =>
      other !== name && installed(world, other) && Object.values(config).flat().includes(name),
  )

function retry(world: World, name: string): Answer {
  const open = openOperation(world, name)
  if (open?.kind === 'install' && !open.cancelling) return keep(open)
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
    withdrawCompanions(world, open)
  } else if (world.apps[name]?.status === 'stopping') move(world, name, 'error', true)
  return { operation: open.name }
}

function rename(world: World, name: string, displayName: string): Answer {
  const app = world.apps[name]
  if (!app) return refused('BL005')
  app.displayName = displayName
  return { operation: promise(world, name, 'rename', { state: 'succeeded', before: null }).name }
}

/** All that waits becomes one rebuild, but nothing is built on what is missing. */
function claim(world: World, held: readonly string[]): Answer {
  if (world.rebuild) return { done: true }
  const taken = new Set<Operation>()
  for (const each of world.operations) {
    if (each.state === 'queued' && each.kind !== 'rename' && !held.includes(each.app)) taken.add(each)
  }
  while (dropOne(world, taken));
  for (const operation of taken) {
    operation.state = 'active'
    if (operation.kind === 'uninstall') continue
    move(world, operation.app, 'configuring', true)
    ;(world.apps[operation.app] as App).configured = true
  }
  if (taken.size > 0) world.rebuild = { begun: false }
  return { done: true }
}

/** One install whose need is not met: it fails if the need is not there, and waits if the need waits. */
function dropOne(world: World, taken: Set<Operation>): boolean {
  const installs = [...taken].filter(({ kind }) => kind === 'install')
  const waits = (name: string): boolean =>
    world.apps[name]?.status === 'queued' && ![...taken].some((each) => each.app === name)
  const doomed = installs.find(({ app }) => neededBy(world, app).some((each) => !installed(world, each)))
  const early = installs.find(({ app }) => neededBy(world, app).some(waits))
  const dropped = doomed ?? early
  if (dropped) taken.delete(dropped)
  if (doomed) fail(world, doomed, 'failed')
  return dropped !== undefined
}

function begin(world: World): Answer {
  if (!world.rebuild) return { done: true }
  world.rebuild.begun = true
  for (const { operation, app } of riding(world)) {
    if (app.status === 'configuring') move(world, operation.app, 'building', true)
  }
  return { done: true }
}

function fail(world: World, operation: Operation, state: 'failed' | 'cancelled'): void {
  const app = world.apps[operation.app] as App
  operation.state = state
  if (operation.kind === 'install') move(world, operation.app, 'failed', false)
  // What did not come off is still on; what was not on stays off.
  else if (app.status === 'stopping' && operation.before === 'failed')
    move(world, operation.app, 'stopped', false)
  else if (app.status === 'stopping') move(world, operation.app, 'error', true)
}

function complete(world: World, operation: Operation, failed: boolean): void {
  const app = world.apps[operation.app] as App
  if (operation.kind === 'install') {
    operation.cancelling = false // too late: it is on
    move(world, operation.app, 'starting', true)
    return
  }
  operation.state = failed ? 'failed' : 'succeeded'
  if (operation.purge && !failed) remove(world, operation.app)
  else if (app.status === 'stopping') move(world, operation.app, 'stopped', false)
}

function end(world: World, { switched, failures, all }: Ending): Answer {
  if (!world.rebuild) return { done: true }
  const batch = riding(world).map(({ operation }) => operation)
  const guilty = new Map(Object.entries(failures))
  for (let more = !switched; more; ) {
    const found = batch.find(
      ({ app, kind }) =>
        kind === 'install' && !guilty.has(app) && neededBy(world, app).some((each) => guilty.has(each)),
    )
    if (found) guilty.set(found.app, 'build')
    more = found !== undefined
  }
  let left = 0
  for (const operation of batch) {
    const cause = guilty.get(operation.app)
    if (switched) complete(world, operation, operation.purge && cause !== undefined)
    else if (cause) fail(world, operation, cause === 'cancelled' ? 'cancelled' : 'failed')
    else if (all) fail(world, operation, 'failed')
    else left++
  }
  world.rebuild = left > 0 ? { begun: false } : null
  return { done: true }
}

function health(world: World, name: string, healthy: boolean, held: readonly string[]): Answer {
  const app = world.apps[name]
  if (!app) return { status: null }
  const to = healthy ? 'running' : 'error'
  if (held.includes(name) || app.status === to || !['starting', 'running', 'error'].includes(app.status)) {
    return { status: app.status }
  }
  move(world, name, to, true)
  app.ran ||= healthy
  const open = openOperation(world, name)
  if (open) open.state = healthy ? 'succeeded' : 'failed'
  return { status: to }
}

function sweep(world: World, after: string, held: readonly string[]): Answer {
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
