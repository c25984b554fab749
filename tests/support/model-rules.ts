/**
 * The reading half of the model: its types, which apps are installed and required, and refusals of the verbs.
 */

export interface Slot {
  compatible: string[]
  default?: string
  required?: boolean
  multi?: boolean
}

export interface Entry {
  port?: number
  isSystem?: boolean
  unavailable?: boolean
  slots?: Record<string, Slot>
}

export type Catalog = Record<string, Entry>

export type Status =
  | 'queued'
  | 'configuring'
  | 'building'
  | 'starting'
  | 'running'
  | 'stopping'
  | 'stopped'
  | 'error'
  | 'failed'

export interface App {
  status: Status
  wanted: boolean
  displayName: string
  config: Record<string, string[]>
  /** True if it has been healthy once. */
  ran: boolean
  /** True if it has been configured once, so that it may have data. */
  configured: boolean
  operation: string
}

export interface Operation {
  /** App and number of the operation within the app: `flow#2`. */
  name: string
  app: string
  kind: 'install' | 'uninstall' | 'rename'
  state: 'queued' | 'active' | 'succeeded' | 'failed' | 'cancelled' | 'superseded'
  purge: boolean
  cancelling: boolean
  choices: Choices
  /** Status of the app when the operation was requested; null: it had no row. */
  before: Status | null
  /** Operation whose app depends on this one, or null. */
  requestedFor: string | null
}

export type Choices = Record<string, string | string[]>

export interface World {
  catalog: Catalog
  apps: Record<string, App>
  operations: Operation[]
  rebuild: { begun: boolean } | null
  /** Transitions of each app so far: `queued→configuring`. */
  transitions: Record<string, string[]>
}

/** Result of a run of the switch, as the orchestrator reports it. */
export interface Ending {
  switched: boolean
  /** Causes by app: of installs that failed or were cancelled; if switched, of purges that failed. */
  failures: Record<string, 'build' | 'cancelled' | 'activate'>
  /** True if all operations fail, because the failed app is not known. */
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

/** Result of a command. `refused`: the SQLSTATEs allowed; several if there are several reasons. */
export type Answer =
  | { refused: string[] }
  | { operation: string }
  | { status: Status | null }
  | { done: true }

const NOT_INSTALLED = new Set(['failed', 'stopped', 'stopping'])

/** Returns true if other apps may build on the app: it is active, or will be. */
export function installed(world: World, name: string): boolean {
  const app = world.apps[name]
  return app !== undefined && !NOT_INSTALLED.has(app.status)
}

/** Returns the apps that an app requires with its present choices. */
export function neededBy(world: World, name: string): string[] {
  const slots = world.catalog[name]?.slots ?? {}
  return Object.entries(world.apps[name]?.config ?? {}).flatMap(([slot, chosen]) =>
    slots[slot]?.required ? chosen : [],
  )
}

/** Returns the installed apps that require this app. */
export function requiredBy(world: World, name: string): string[] {
  return Object.keys(world.apps).filter(
    (other) => installed(world, other) && neededBy(world, other).includes(name),
  )
}

/** Returns true if another app listens on its port, or will. */
export function portTaken(world: World, name: string): boolean {
  const { port } = world.catalog[name] ?? {}
  return Object.entries(world.apps).some(
    ([other, { status }]) =>
      other !== name &&
      port !== undefined &&
      world.catalog[other]?.port === port &&
      status !== 'stopped' &&
      status !== 'failed',
  )
}

/** Returns the open (queued or active) operation of an app. */
export function openOperation(world: World, app: string): Operation | undefined {
  return world.operations.find((each) => each.app === app && isOpen(each) && each.kind !== 'rename')
}

const isOpen = ({ state }: Operation): boolean => state === 'queued' || state === 'active'

/** Returns why an app can't be installed now, apart from its dependencies; null: it can. */
export function refusalOfInstall(world: World, name: string): string | null {
  const entry = world.catalog[name]
  if (!entry) return 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (world.apps[name]?.status === 'running') return 'BL020'
  if (entry.unavailable) return 'BL006'
  return portTaken(world, name) ? 'BL012' : null
}

/** Returns why an app can't be uninstalled now; null: it can. */
export function refusalOfUninstall(world: World, name: string, purge: boolean): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (world.catalog[name]?.isSystem) return 'BL011'
  if (openOperation(world, name)?.kind === 'uninstall') return 'BL004'
  if (app.status === 'configuring' || app.status === 'building') return 'BL004'
  if (app.status === 'stopped' && !purge) return 'BL005'
  return requiredBy(world, name).length > 0 ? 'BL010' : null
}

/** Returns why the last operation of an app can't be repeated now; null: it can. */
export function refusalOfRetry(world: World, name: string): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (app.status !== 'failed' && app.status !== 'error') return 'BL015'
  const last = lastOperation(world, app)
  if (last.kind === 'uninstall' && last.state === 'failed') return refusalOfUninstall(world, name, last.purge)
  return refusalOfInstall(world, name)
}

/** Returns the open operation of an app, or else its last one. */
export function lastOperation(world: World, app: App): Operation {
  return world.operations.find(({ name }) => name === app.operation) as Operation
}

/** Returns why the open operation of an app can't be cancelled now; null: it can. */
export function refusalOfCancel(world: World, name: string): string | null {
  const app = world.apps[name]
  if (!app && !world.catalog[name]) return 'BL001'
  const open = openOperation(world, name)
  if (!app || !open) return 'BL013'
  if (open.kind === 'install') {
    const isActive = app.status === 'starting' || (app.status === 'queued' && app.wanted)
    return isActive ? 'BL014' : open.cancelling ? 'BL004' : null
  }
  if (app.status === 'stopped' && open.state === 'queued') return null
  const missing = neededBy(world, name).some((each) => !installed(world, each))
  return open.state === 'active' || open.before === 'failed' || missing ? 'BL014' : null
}
