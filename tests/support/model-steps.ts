/** Generates random sequences of commands (install, cancel, end of a rebuild …) for the model test. */
import fc from 'fast-check'
import {
  type Catalog,
  type Choices,
  type Command,
  type Ending,
  openOperation,
  type World,
} from './model-rules.ts'

const store = { compatible: ['disk', 'cloud'], required: true }

/**
 * Catalog of the model test: dependencies of dependencies, slots with one or several apps to choose, two apps
 * with the same port, and apps that require each other.
 */
export const CATALOG: Catalog = {
  db: { port: 5432, isSystem: true },
  reader: { slots: { database: { compatible: ['db'], default: 'db', required: true } } },
  chain: {
    slots: {
      reader: { compatible: ['reader'], default: 'reader', required: true },
      extra: { compatible: ['solo', 'twin'], multi: true },
    },
  },
  disk: {},
  cloud: {},
  picky: { slots: { store } },
  many: { slots: { stores: { ...store, multi: true, default: 'disk' } } },
  solo: { port: 1880 },
  twin: { port: 1880 },
  gone: { unavailable: true },
  hen: { slots: { egg: { compatible: ['egg'], default: 'egg', required: true } } },
  egg: { slots: { hen: { compatible: ['hen'], default: 'hen', required: true } } },
}

/**
 * A random sequence uses only one of these short lists, so that often several commands concern the same app.
 */
const APPS = [
  ['disk', 'cloud', 'solo', 'twin'],
  ['db', 'reader', 'chain', 'solo'],
  ['disk', 'cloud', 'picky', 'many'],
  ['disk', 'disk', 'picky', 'picky'],
  ['reader', 'chain', 'many', 'disk'],
  ['solo', 'twin', 'chain', 'chain'],
  ['gone', 'hen', 'nowhere', 'picky'],
]

const CHOICES: Choices[] = [
  {},
  {},
  {},
  { store: 'disk', stores: 'cloud' },
  { store: 'cloud', stores: ['disk', 'cloud'] },
  { store: 'db', stores: [] },
  { extra: 'solo' },
  { extra: ['solo', 'twin'] },
  { 'reader.database': 'cloud' },
]

const VERBS = ['install', 'uninstall', 'purge', 'retry', 'cancel', 'rename'] as const
const WORK = ['claim', 'begin', 'end', 'health', 'sweep', 'takeover'] as const

/** Random numbers, from which `commandFor` chooses a command that fits the state of the model. */
export interface CommandDraft {
  verb: (typeof VERBS)[number] | (typeof WORK)[number]
  app: number
  pick: number
}

export type Step =
  | { does: 'one'; operator: 0 | 1; command: CommandDraft }
  | { does: 'both'; commands: [CommandDraft, CommandDraft] }
  /** All steps of a rebuild at once, because single random commands rarely reach the later statuses. */
  | { does: 'rebuild'; succeeds: boolean }

export interface Sequence {
  apps: readonly string[]
  steps: Step[]
}

const weighted = <T extends string>(weights: Record<T, number>) =>
  fc.constantFrom(
    ...Object.entries<number>(weights).flatMap(([name, times]) => Array<T>(times).fill(name as T)),
  )
const verbName = weighted({ install: 6, uninstall: 3, purge: 2, retry: 2, cancel: 3, rename: 1 })
const workName = weighted({ claim: 4, begin: 3, end: 5, health: 5, sweep: 1, takeover: 1 })
const draftOf = (verb: fc.Arbitrary<CommandDraft['verb']>): fc.Arbitrary<CommandDraft> =>
  fc.record({ verb, app: fc.nat(3), pick: fc.nat(8) })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constant('one' as const),
      operator: fc.constantFrom(0 as const, 1 as const),
      command: draftOf(verbName),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constant('one' as const),
      operator: fc.constant(0 as const),
      command: draftOf(workName),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('both' as const),
      commands: fc.tuple(draftOf(verbName), draftOf(fc.oneof(verbName, verbName, workName))),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('rebuild' as const),
      succeeds: fc.constantFrom(true, true, true, false),
    }),
  },
)

export const sequence: fc.Arbitrary<Sequence> = fc.record({
  apps: fc.constantFrom(...APPS),
  steps: fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }),
})

const from = <T>(list: readonly T[], nth: number): T => list[nth % list.length] as T

export function commandFor(
  world: World,
  apps: readonly string[],
  { verb, app: nth, pick }: CommandDraft,
): Command {
  const app = from(apps, nth)
  switch (verb) {
    case 'install':
      return { verb, app, choices: from(CHOICES, pick) }
    case 'rename':
      return { verb, app, displayName: `${app} ${pick}` }
    case 'health':
      return { verb, app, healthy: pick % 3 > 0 }
    case 'sweep':
      return { verb, after: from(['no time', 'a minute', 'a day'] as const, pick) }
    case 'end':
      return { verb, ending: endingOf(world, pick) }
    case 'claim':
    case 'begin':
    case 'takeover':
      return { verb }
    default:
      return { verb, app }
  }
}

function endingOf(world: World, pick: number): Ending {
  const active = Object.entries(world.apps).flatMap(([app, { status }]) => {
    const open = openOperation(world, app)
    return open?.state === 'active' && status !== 'starting' ? [open] : []
  })
  const chosen = active.filter((_, nth) => (pick >> (nth % 3)) % 2 === 1)
  if (pick > 3 && world.rebuild?.begun) {
    const kept = pick % 2 ? [] : active.filter(({ purge }) => purge)
    return {
      switched: true,
      failures: Object.fromEntries(kept.map(({ app }) => [app, 'activate'])),
      all: false,
    }
  }
  const failed = chosen.filter(({ kind }) => kind === 'install').map(({ app }) => [app, 'build'])
  const cancelled = active.filter(({ cancelling }) => cancelling).map(({ app }) => [app, 'cancelled'])
  const failures = Object.fromEntries([...failed, ...cancelled])
  return { switched: false, failures, all: Object.keys(failures).length === 0 }
}

export function wholeRebuild(succeeds: boolean): Command[] {
  return [
    { verb: 'claim' },
    { verb: 'begin' },
    { verb: 'end', ending: { switched: succeeds, failures: {}, all: !succeeds } },
  ]
}
