/** The half of the model that only looks: the nouns, what is installed and needed, and why a verb would be refused. */

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
  /** It was healthy once. */
  ran: boolean
  /** Something was configured for it once, so that there may be data. */
  configured: boolean
  operation: string
}

export interface Operation {
  /** The nth operation of its app: `flow#2`. */
  name: string
  app: string
  kind: 'install' | 'uninstall' | 'rename'
  state: 'queued' | 'active' | 'succeeded' | 'failed' | 'cancelled' | 'superseded'
  purge: boolean
  cancelling: boolean
  choices: Choices
  /** What the app was when this was asked for; null: it was not there. */
  before: Status | null
  /** The operation that brought this one along. */
  cameWith: string | null
}

export type Choices = Record<string, string | string[]>

export interface World {
  catalog: Catalog
  apps: Record<string, App>
  operations: Operation[]
  rebuild: { begun: boolean } | null
  /** What became of each app: `queued→configuring`. */
  moves: Record<string, string[]>
}

const OFF = new Set(['failed', 'stopped', 'stopping'])

/** Others may build on it: it is on, or on its way. */
export function installed(world: World, name: string): boolean {
  const app = world.apps[name]
  return app !== undefined && !OFF.has(app.status)
}

/** What an app can't do without, as it is configured. */
export function neededBy(world: World, name: string): string[] {
  const slots = world.catalog[name]?.slots ?? {}
  return Object.entries(world.apps[name]?.config ?? {}).flatMap(([slot, chosen]) =>
    slots[slot]?.required ? chosen : [],
  )
}

/** The installed apps that can't do without this one. */
export function requiredBy(world: World, name: string): string[] {
  return Object.keys(world.apps).filter(
    (other) => installed(world, other) && neededBy(world, other).includes(name),
  )
}

/** Somebody else listens on its port, or will. */
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

/** The operation on its way for an app. */
export function openOperation(world: World, app: string): Operation | undefined {
  return world.operations.find((each) => each.app === app && isOpen(each) && each.kind !== 'rename')
}

const isOpen = ({ state }: Operation): boolean => state === 'queued' || state === 'active'

/** Why an app itself can't be installed now. */
export function refusalOfInstall(world: World, name: string): string | null {
  const entry = world.catalog[name]
  if (!entry) return 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (world.apps[name]?.status === 'running') return 'BL020'
  if (entry.unavailable) return 'BL006'
  return portTaken(world, name) ? 'BL012' : null
}

/** Why an app can't be removed now. */
export function refusalOfUninstall(world: World, name: string, purge: boolean): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (world.catalog[name]?.isSystem) return 'BL011'
  if (openOperation(world, name)?.kind === 'uninstall') return 'BL004'
  if (app.status === 'configuring' || app.status === 'building') return 'BL004'
  if (app.status === 'stopped' && !purge) return 'BL005'
  return requiredBy(world, name).length > 0 ? 'BL010' : null
}

/** Why what failed last can't be tried again. */
export function refusalOfRetry(world: World, name: string): string | null {
  const app = world.apps[name]
  if (!app) return world.catalog[name] ? 'BL005' : 'BL001'
  if (openOperation(world, name)) return 'BL004'
  if (app.status !== 'failed' && app.status !== 'error') return 'BL015'
  const last = lastOperation(world, app)
  if (last.kind === 'uninstall' && last.state === 'failed') return refusalOfUninstall(world, name, last.purge)
  return refusalOfInstall(world, name)
}

/** The one on its way for an app, or the last one. */
export function lastOperation(world: World, app: App): Operation {
  return world.operations.find(({ name }) => name === app.operation) as Operation
}

/** Why what is on its way for an app can't be cancelled. */
export function refusalOfCancel(world: World, name: string): string | null {
  const app = world.apps[name]
  if (!app && !world.catalog[name]) return 'BL001'
  const open = openOperation(world, name)
  if (!app || !open) return 'BL013'
  if (open.kind === 'install') {
    const isOn = app.status === 'starting' || (app.status === 'queued' && app.wanted)
    return isOn ? 'BL014' : open.cancelling ? 'BL004' : null
  }
  if (app.status === 'stopped' && open.state === 'queued') return null
  const gone = neededBy(world, name).some((each) => !installed(world, each))
  return open.state === 'active' || open.before === 'failed' || gone ? 'BL014' : null
}
