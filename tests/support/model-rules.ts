/** Types of the model of the database, and functions that read a state of the model. */

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
  /** True if the app has been healthy at least once. */
  ran: boolean
  /** True if the app has been configured at least once, so that it may have data. */
  configured: boolean
  operation: string
}

export interface Operation {
  /** Name of the operation, made of the app and a number per app, such as `flow#2`. */
  name: string
  app: string
  kind: 'install' | 'uninstall' | 'rename'
  state: 'queued' | 'active' | 'succeeded' | 'failed' | 'cancelled' | 'superseded'
  purge: boolean
  cancelling: boolean
  choices: Choices
  /** Status of the app at the time of the request, or null if the database had no row for the app. */
  before: Status | null
  /**
   * Name of the install that requires this app as a dependency, or null if an operator requested the
   * operation.
   */
  requestedFor: string | null
}

export type Choices = Record<string, string | string[]>

export interface World {
  catalog: Catalog
  apps: Record<string, App>
  operations: Operation[]
  rebuild: { begun: boolean } | null
  /** Transitions of each app so far, such as `queued→configuring`. */
  transitions: Record<string, string[]>
}

/** Outcome of a rebuild that the orchestrator reports to end_rebuild(). */
export interface Ending {
  /** True if the host runs the new configuration. */
  switched: boolean
  /** Causes of failed or cancelled installs by app. If `switched` is true, causes of failed purges. */
  failures: Record<string, 'build' | 'cancelled' | 'activate'>
  /** True if all operations of the rebuild fail, because no single app is known as the cause. */
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

/**
 * Answer of the model to a command. `refused` lists the SQLSTATEs with which the database may refuse the
 * command.
 */
export type Answer =
  | { refused: string[] }
  | { operation: string }
  | { status: Status | null }
  | { done: true }

const NOT_INSTALLED = new Set(['failed', 'stopped', 'stopping'])

/** True if other apps may use the app as a dependency. */
export function installed(world: World, name: string): boolean {
  const app = world.apps[name]
  return app !== undefined && !NOT_INSTALLED.has(app.status)
}

/** Returns the apps that an app requires, according to the choices for its integration slots. */
export function neededBy(world: World, name: string): string[] {
  const slots = world.catalog[name]?.slots ?? {}
  return Object.entries(world.apps[name]?.config ?? {}).flatMap(([slot, chosen]) =>
    slots[slot]?.required ? chosen : [],
  )
}

/** Returns the installed apps that require an app. */
export function requiredBy(world: World, name: string): string[] {
  return Object.keys(world.apps).filter(
    (other) => installed(world, other) && neededBy(world, other).includes(name),
  )
}

/** True if another app uses the port of the app, or will use the port. */
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

/** Returns the SQLSTATE with which an install of an app is refused, or null. Dependencies are not checked. */
export function refusalOfInstall(world: World, name: string): string | null {
  const entry = world.catalog[name]
  if (!entry) return 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (world.apps[name]?.status === 'running') return 'BL020'
  if (entry.unavailable) return 'BL006'
  return portTaken(world, name) ? 'BL012' : null
}

/** Returns the SQLSTATE with which an uninstall of an app is refused, or null. */
export function refusalOfUninstall(world: World, name: string, purge: boolean): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (world.catalog[name]?.isSystem) return 'BL011'
  if (openOperation(world, name)?.kind === 'uninstall') return 'BL004'
  if (app.status === 'configuring' || app.status === 'building') return 'BL004'
  if (app.status === 'stopped' && !purge) return 'BL005'
  return requiredBy(world, name).length > 0 ? 'BL010' : null
}

/** Returns the SQLSTATE with which a retry of an app's last operation is refused, or null. */
export function refusalOfRetry(world: World, name: string): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (app.status !== 'failed' && app.status !== 'error') return 'BL015'
  const last = lastOperation(world, app)
  if (last.kind === 'uninstall' && last.state === 'failed') return refusalOfUninstall(world, name, last.purge)
  return refusalOfInstall(world, name)
}

/** Returns the open operation of an app, or the last operation if none is open. */
export function lastOperation(world: World, app: App): Operation {
  return world.operations.find(({ name }) => name === app.operation) as Operation
}

/** Returns the SQLSTATE with which a cancel of an app's open operation is refused, or null. */
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
