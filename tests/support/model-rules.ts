/** Types of the model of the database (tests/support/model.ts), and functions that read its state. */

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
  ran: boolean
  /** True if the app was configured at least once, and may therefore have data. */
  configured: boolean
  operation: string
}

export interface Operation {
  /** App and number of the operation on this app, such as `flow#2`. */
  name: string
  app: string
  kind: 'install' | 'uninstall' | 'rename'
  state: 'queued' | 'active' | 'succeeded' | 'failed' | 'cancelled' | 'superseded'
  purge: boolean
  cancelling: boolean
  choices: Choices
  /** Status of the app when the operation was requested, or null if the app was not in the database. */
  before: Status | null
  /**
   * For a dependency, the name of the install that requires it. Null if an operator requested the operation.
   */
  requestedFor: string | null
}

export type Choices = Record<string, string | string[]>

export interface World {
  catalog: Catalog
  apps: Record<string, App>
  operations: Operation[]
  rebuild: { begun: boolean } | null
  transitions: Record<string, string[]>
}

/**
 * Result of a rebuild (one change of the machine for all queued operations), passed to bloud.end_rebuild().
 */
export interface Ending {
  switched: boolean
  /**
   * Causes of failed or cancelled installs, by app. If `switched` is true no install has failed, and these
   * are the causes of failed purges.
   */
  failures: Record<string, 'build' | 'cancelled' | 'activate'>
  /** True if all operations fail, because the app that caused the failure is not known. */
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

/** What the model returns for a command. The database may refuse with any of the SQLSTATEs in `refused`. */
export type Answer =
  | { refused: string[] }
  | { operation: string }
  | { status: Status | null }
  | { done: true }

const NOT_INSTALLED = new Set(['failed', 'stopped', 'stopping'])

export function installed(world: World, name: string): boolean {
  const app = world.apps[name]
  return app !== undefined && !NOT_INSTALLED.has(app.status)
}

/** Returns the apps that an app requires, from the apps chosen for its integration slots. */
export function neededBy(world: World, name: string): string[] {
  const slots = world.catalog[name]?.slots ?? {}
  return Object.entries(world.apps[name]?.config ?? {}).flatMap(([slot, chosen]) =>
    slots[slot]?.required ? chosen : [],
  )
}

export function requiredBy(world: World, name: string): string[] {
  return Object.keys(world.apps).filter(
    (other) => installed(world, other) && neededBy(world, other).includes(name),
  )
}

/** True if another app has the same port and uses it, or will use it after its install. */
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

/** Returns the operation of an app that is queued or active, if there is one. */
export function openOperation(world: World, app: string): Operation | undefined {
  return world.operations.find((each) => each.app === app && isOpen(each) && each.kind !== 'rename')
}

const isOpen = ({ state }: Operation): boolean => state === 'queued' || state === 'active'

/** SQLSTATE with which the database refuses an install, or null. Does not check dependencies. */
export function refusalOfInstall(world: World, name: string): string | null {
  const entry = world.catalog[name]
  if (!entry) return 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (world.apps[name]?.status === 'running') return 'BL020'
  if (entry.unavailable) return 'BL006'
  return portTaken(world, name) ? 'BL012' : null
}

export function refusalOfUninstall(world: World, name: string, purge: boolean): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (world.catalog[name]?.isSystem) return 'BL011'
  if (openOperation(world, name)?.kind === 'uninstall') return 'BL004'
  if (app.status === 'configuring' || app.status === 'building') return 'BL004'
  if (app.status === 'stopped' && !purge) return 'BL005'
  return requiredBy(world, name).length > 0 ? 'BL010' : null
}

export function refusalOfRetry(world: World, name: string): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (app.status !== 'failed' && app.status !== 'error') return 'BL015'
  const last = lastOperation(world, app)
  if (last.kind === 'uninstall' && last.state === 'failed') return refusalOfUninstall(world, name, last.purge)
  return refusalOfInstall(world, name)
}

export function lastOperation(world: World, app: App): Operation {
  return world.operations.find(({ name }) => name === app.operation) as Operation
}

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
