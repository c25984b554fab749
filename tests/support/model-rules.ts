/**
 * Types of the model of the database, and functions that read a world (a state of the model). The functions
 * return installed apps, dependencies, and reasons to refuse verbs (install, uninstall …).
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
  /** True if the app has been healthy once. */
  ran: boolean
  /** True if the app has been configured once, so that the app may have data. */
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
  /**
   * Status of the app when the operation was requested. Null if the database had no row for the app at that
   * time.
   */
  before: Status | null
  /**
   * Name of the install that requested this install of a dependency. Null if an operator requested this
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

/** Outcome of a rebuild, as the orchestrator reports it to end_rebuild(). */
export interface Ending {
  /** True if the host runs the new configuration. */
  switched: boolean
  /** Causes by app of failed or cancelled installs. If `switched` is true, causes of failed purges. */
  failures: Record<string, 'build' | 'cancelled' | 'activate'>
  /**
   * True if all operations of the rebuild fail, because the host could not determine which app caused the
   * failure.
   */
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
 * Answer of the model to a command. The field `refused` contains the SQLSTATEs with which the database may
 * refuse the command.
 */
export type Answer =
  | { refused: string[] }
  | { operation: string }
  | { status: Status | null }
  | { done: true }

const NOT_INSTALLED = new Set(['failed', 'stopped', 'stopping'])

/**
 * Returns true if other apps may use the app as a dependency, because the app is active or will become
 * active.
 */
export function installed(world: World, name: string): boolean {
  const app = world.apps[name]
  return app !== undefined && !NOT_INSTALLED.has(app.status)
}

/**
 * Returns the apps that an app requires as dependencies, according to the present choices for its integration
 * slots.
 */
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

/** Returns true if another app listens on the port of the app, or will listen on that port. */
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

/** Returns the SQLSTATE with which an install of an app is refused now, or null. Dependencies are ignored. */
export function refusalOfInstall(world: World, name: string): string | null {
  const entry = world.catalog[name]
  if (!entry) return 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (world.apps[name]?.status === 'running') return 'BL020'
  if (entry.unavailable) return 'BL006'
  return portTaken(world, name) ? 'BL012' : null
}

/** Returns the SQLSTATE with which an uninstall of an app is refused now, or null. */
export function refusalOfUninstall(world: World, name: string, purge: boolean): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (world.catalog[name]?.isSystem) return 'BL011'
  if (openOperation(world, name)?.kind === 'uninstall') return 'BL004'
  if (app.status === 'configuring' || app.status === 'building') return 'BL004'
  if (app.status === 'stopped' && !purge) return 'BL005'
  return requiredBy(world, name).length > 0 ? 'BL010' : null
}

/** Returns the SQLSTATE with which a retry of the last operation of an app is refused now, or null. */
export function refusalOfRetry(world: World, name: string): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (app.status !== 'failed' && app.status !== 'error') return 'BL015'
  const last = lastOperation(world, app)
  if (last.kind === 'uninstall' && last.state === 'failed') return refusalOfUninstall(world, name, last.purge)
  return refusalOfInstall(world, name)
}

/** Returns the open operation of an app, or else its last operation. */
export function lastOperation(world: World, app: App): Operation {
  return world.operations.find(({ name }) => name === app.operation) as Operation
}

/** Returns the SQLSTATE with which a cancel of the open operation of an app is refused now, or null. */
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
