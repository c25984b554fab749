/** Random steps, and what they mean in the world they meet. */
import fc from 'fast-check'
import type { Command, Ending } from './model.ts'
import { type Catalog, type Choices, openOperation, type World } from './model-rules.ts'

const store = { compatible: ['disk', 'cloud'], required: true }

/** Small, but with one of each: needs, needs of needs, choices, several at once, a port for two, a circle. */
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

/** The apps of one sequence: few, so that they meet. */
const CASTS = [
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

/** A command before it is known what it meets: numbers that pick from what is there. */
export interface Pick {
  verb: (typeof VERBS)[number] | (typeof WORK)[number]
  app: number
  pick: number
}

export type Step =
  | { does: 'one'; who: 0 | 1; command: Pick }
  | { does: 'both'; commands: [Pick, Pick] }
  /** A whole rebuild, so that sequences get far; one that goes well leaves everything healthy. */
  | { does: 'rebuild'; well: boolean }

export interface Story {
  cast: readonly string[]
  steps: Step[]
}

const weighted = <T extends string>(weights: Record<T, number>) =>
  fc.constantFrom(
    ...Object.entries<number>(weights).flatMap(([name, times]) => Array<T>(times).fill(name as T)),
  )
const asked = weighted({ install: 6, uninstall: 3, purge: 2, retry: 2, cancel: 3, rename: 1 })
const done = weighted({ claim: 4, begin: 3, end: 5, health: 5, sweep: 1, takeover: 1 })
const pickOf = (verb: fc.Arbitrary<Pick['verb']>): fc.Arbitrary<Pick> =>
  fc.record({ verb, app: fc.nat(3), pick: fc.nat(8) })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constant('one' as const),
      who: fc.constantFrom(0 as const, 1 as const),
      command: pickOf(asked),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constant('one' as const),
      who: fc.constant(0 as const),
      command: pickOf(done),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('both' as const),
      commands: fc.tuple(pickOf(asked), pickOf(fc.oneof(asked, asked, done))),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('rebuild' as const),
      well: fc.constantFrom(true, true, true, false),
    }),
  },
)

export const story: fc.Arbitrary<Story> = fc.record({
  cast: fc.constantFrom(...CASTS),
  steps: fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }),
})

const from = <T>(list: readonly T[], nth: number): T => list[nth % list.length] as T

/** What is asked for or done, in this world. */
export function meet(world: World, cast: readonly string[], { verb, app: nth, pick }: Pick): Command {
  const app = from(cast, nth)
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

/** An outcome the orchestrator could report: nobody switches before the run began, and the cancelled are named. */
function endingOf(world: World, pick: number): Ending {
  const riding = Object.entries(world.apps).flatMap(([app, { status }]) => {
    const open = openOperation(world, app)
    return open?.state === 'active' && status !== 'starting' ? [open] : []
  })
  const chosen = riding.filter((_, nth) => (pick >> (nth % 3)) % 2 === 1)
  if (pick > 3 && world.rebuild?.begun) {
    const kept = pick % 2 ? [] : riding.filter(({ purge }) => purge)
    return {
      switched: true,
      failures: Object.fromEntries(kept.map(({ app }) => [app, 'activate'])),
      all: false,
    }
  }
  const guilty = chosen.filter(({ kind }) => kind === 'install').map(({ app }) => [app, 'build'])
  const cancelled = riding.filter(({ cancelling }) => cancelling).map(({ app }) => [app, 'cancelled'])
  const failures = Object.fromEntries([...guilty, ...cancelled])
  return { switched: false, failures, all: Object.keys(failures).length === 0 }
}

/** The commands of a whole rebuild. */
export function wholeRebuild(well: boolean): Command[] {
  return [
    { verb: 'claim' },
    { verb: 'begin' },
    { verb: 'end', ending: { switched: well, failures: {}, all: !well } },
  ]
}
