/**
 * Random lives of several apps, told to the database and to a small model at once: whatever is asked, by two people and
 * the orchestrator, the two must agree.
 *
 *   MODEL_SEED=… MODEL_PATH=… npm test -- tests/sql/model.test.ts     the sequence a failure printed, again
 *   MODEL_RUNS=20000 npm test -- tests/sql/model.test.ts              more of them
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { testDatabase } from '../support/cluster.ts'
import { type Answer, apply, type Command, emptyWorld } from '../support/model.ts'
import { expected, type House, openHouse, type Raw, type Seen } from '../support/model-machine.ts'
import { planInstall } from '../support/model-plan.ts'
import type { World } from '../support/model-rules.ts'
import { CATALOG, meet, type Step, type Story, story, wholeRebuild } from '../support/model-steps.ts'

const RUNS = Number(process.env.MODEL_RUNS ?? 2_100)
const SEED = Number(process.env.MODEL_SEED ?? Date.now() % 2 ** 31)
const PATH = process.env.MODEL_PATH
/** Databases at once: the server and this process both have work then. */
const HOUSES = PATH ? 1 : 3

/** A command that was run, with what the model says to it. */
interface Exchange {
  command: Command
  raw: Raw
  answer: Answer
}

const isVerb = ({ verb }: Command): boolean =>
  ['install', 'uninstall', 'purge', 'retry', 'cancel', 'rename'].includes(verb)

/** Every list of apps that somebody asking for this could hold at a moment. */
function heldBy(world: World, command: Command): string[][] {
  if (!('app' in command)) return [[]]
  const choices = command.verb === 'install' ? command.choices : {}
  const brings = ['install', 'retry'].includes(command.verb)
    ? planInstall(world, command.app, choices).installs
    : []
  const lists: string[][] = [[]]
  for (const app of new Set([command.app, ...brings])) {
    lists.push(...lists.map((list) => [...list, app]))
  }
  return lists
}

function checkAnswer({ command, raw, answer }: Exchange, seen: Seen): void {
  const said = { ...raw, ...(raw.id ? { id: seen.operations.find(({ id }) => id === raw.id)?.name } : {}) }
  const context = `${JSON.stringify(command)} answered ${JSON.stringify(said)}, expected ${JSON.stringify(answer)}`
  if ('refused' in answer) assert.ok(answer.refused.includes(raw.refused ?? 'not refused'), context)
  else if ('operation' in answer) assert.equal(said.id, answer.operation, context)
  else if ('status' in answer) assert.equal(raw.status ?? null, answer.status, context)
  else assert.deepEqual(raw, {}, context)
}

function checkWorld(world: World, exchanges: Exchange[], seen: Seen): void {
  for (const exchange of exchanges) checkAnswer(exchange, seen)
  const { violated, ...tables } = seen
  assert.deepEqual(violated, [], 'check_invariants()')
  const operations = tables.operations.map(({ id, ...rest }) => rest)
  assert.deepEqual({ ...tables, operations }, expected(world))
}

async function runOne(house: House, world: World, command: Command, who: 0 | 1): Promise<[World, Exchange]> {
  const raw = await house.run(command, who)
  const [next, answer] = apply(world, command)
  return [next, { command, raw, answer }]
}

/** At once from two sessions: the outcome must be that of one order, or of the orchestrator passing over what is held. */
async function runBoth(house: House, world: World, commands: [Command, Command]): Promise<World> {
  const [a, b] = commands
  const [rawA, rawB] = await Promise.all([house.run(a, 0), house.run(b, 1)])
  const seen = await house.look()
  const problems: unknown[] = []
  for (const held of isVerb(b) ? [[]] : heldBy(world, a)) {
    for (const aFirst of [true, false]) {
      const [one, answerOne] = apply(world, aFirst ? a : b, aFirst ? [] : held)
      const [both, answerTwo] = apply(one, aFirst ? b : a, aFirst ? held : [])
      const [answerA, answerB] = aFirst ? [answerOne, answerTwo] : [answerTwo, answerOne]
      const exchanges = [
        { command: a, raw: rawA, answer: answerA },
        { command: b, raw: rawB, answer: answerB },
      ]
      try {
        checkWorld(both, exchanges, seen)
        return both
      } catch (error) {
        problems.push((error as Error).message)
      }
    }
  }
  throw new Error(`At once ${JSON.stringify(commands)} fits no order:\n${problems.join('\n---\n')}`)
}

async function tell(house: House, { cast, steps }: Story): Promise<void> {
  await house.reset()
  let world = emptyWorld(CATALOG)
  const exchanges: Exchange[] = []
  async function one(command: Command, who: 0 | 1 = 0): Promise<void> {
    const [next, exchange] = await runOne(house, world, command, who)
    world = next
    exchanges.push(exchange)
  }
  async function take(step: Step): Promise<void> {
    if (step.does === 'one') return one(meet(world, cast, step.command), step.who)
    if (step.does === 'both') {
      const [a, b] = step.commands.map((each) => meet(world, cast, each))
      world = await runBoth(house, world, [a as Command, b as Command])
      return
    }
    for (const command of wholeRebuild(step.well)) await one(command)
    for (const [app, { status }] of Object.entries(world.apps)) {
      if (status === 'starting') await one({ verb: 'health', app, healthy: true })
    }
  }
  for (const step of steps) await take(step)
  checkWorld(world, exchanges, await house.look())
}

test(`${RUNS} random stories end as the rules say they end (seed ${SEED})`, async () => {
  const databases = await Promise.all(Array.from({ length: HOUSES }, () => testDatabase('model')))
  const houses = await Promise.all(databases.map((database) => openHouse(database, CATALOG)))
  try {
    await Promise.all(houses.map((house, nth) => tellMany(house, SEED + nth)))
  } finally {
    await Promise.all(houses.map((house) => house.close()))
    await Promise.all(databases.map((database) => database.drop()))
  }
})

async function tellMany(house: House, seed: number): Promise<void> {
  const result = await fc.check(
    fc.asyncProperty(story, (told) => tell(house, told)),
    { seed, numRuns: PATH ? 1 : Math.ceil(RUNS / HOUSES), ...(PATH ? { path: PATH } : {}) },
  )
  if (!result.failed) return
  const again = `MODEL_SEED=${result.seed} MODEL_PATH=${result.counterexamplePath}`
  const told = JSON.stringify(result.counterexample?.[0], null, 1)
  throw new Error(`Again with: ${again}\n${told}\n${(result.errorInstance as Error)?.message}`)
}
