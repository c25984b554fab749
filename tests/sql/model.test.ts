/**
 * Tests that the database and a model in TypeScript (tests/support/model.ts) agree after random sequences of
 * commands.
 *
 *   MODEL_SEED=… MODEL_PATH=… npm test -- tests/sql/model.test.ts   repeats the sequence of a failure
 *   MODEL_RUNS=20000 npm test -- tests/sql/model.test.ts            runs more sequences
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { testDatabase } from '../support/cluster.ts'
import { apply, emptyWorld } from '../support/model.ts'
import {
  expected,
  type ModelDatabase,
  openModelDatabase,
  type Result,
  type Tables,
} from '../support/model-machine.ts'
import { planInstall } from '../support/model-plan.ts'
import type { Answer, Command, World } from '../support/model-rules.ts'
import {
  CATALOG,
  commandFor,
  type Sequence,
  type Step,
  sequence,
  wholeRebuild,
} from '../support/model-steps.ts'

const RUNS = Number(process.env.MODEL_RUNS ?? 600)
const SEED = Number(process.env.MODEL_SEED ?? Date.now() % 2 ** 31)
const PATH = process.env.MODEL_PATH
/** Number of databases that are used at the same time. The repetition of one sequence needs only one. */
const DATABASES = PATH ? 1 : 3

interface Exchange {
  command: Command
  result: Result
  answer: Answer
}

const isVerb = ({ verb }: Command): boolean =>
  ['install', 'uninstall', 'purge', 'retry', 'cancel', 'rename'].includes(verb)

function possiblyHeld(world: World, command: Command): string[][] {
  if (!('app' in command)) return [[]]
  const choices = command.verb === 'install' ? command.choices : {}
  const installs = ['install', 'retry'].includes(command.verb)
    ? planInstall(world, command.app, choices).installs
    : []
  const lists: string[][] = [[]]
  for (const app of new Set([command.app, ...installs])) {
    lists.push(...lists.map((list) => [...list, app]))
  }
  return lists
}

function checkAnswer({ command, result, answer }: Exchange, tables: Tables): void {
  const name = tables.operations.find(({ id }) => id === result.id)?.name
  const named = { ...result, ...(result.id ? { id: name } : {}) }
  const [did, returned, wanted] = [command, named, answer].map((each) => JSON.stringify(each))
  const context = `${did} returned ${returned}, expected ${wanted}`
  if ('refused' in answer) assert.ok(answer.refused.includes(result.refused ?? 'not refused'), context)
  else if ('operation' in answer) assert.equal(named.id, answer.operation, context)
  else if ('status' in answer) assert.equal(result.status ?? null, answer.status, context)
  else assert.deepEqual(result, {}, context)
}

function checkWorld(world: World, exchanges: Exchange[], tables: Tables): void {
  for (const exchange of exchanges) checkAnswer(exchange, tables)
  const { violated, ...content } = tables
  assert.deepEqual(violated, [], 'check_invariants()')
  const operations = content.operations.map(({ id, ...rest }) => rest)
  assert.deepEqual({ ...content, operations }, expected(world))
}

async function runOne(
  database: ModelDatabase,
  world: World,
  command: Command,
  operator: 0 | 1,
): Promise<[World, Exchange]> {
  const result = await database.run(command, operator)
  const [next, answer] = apply(world, command)
  return [next, { command, result, answer }]
}

/**
 * Runs two commands at the same time, and checks that the result is that of one of the two orders. A command
 * of the orchestrator (worker that executes operations) may skip apps that the other command has locked.
 */
async function runBoth(database: ModelDatabase, world: World, commands: [Command, Command]): Promise<World> {
  const [a, b] = commands
  const [resultA, resultB] = await Promise.all([database.run(a, 0), database.run(b, 1)])
  const tables = await database.readTables()
  const problems: unknown[] = []
  for (const held of isVerb(b) ? [[]] : possiblyHeld(world, a)) {
    for (const aFirst of [true, false]) {
      const [first, answerOne] = apply(world, aFirst ? a : b, aFirst ? [] : held)
      const [both, answerTwo] = apply(first, aFirst ? b : a, aFirst ? held : [])
      const [answerA, answerB] = aFirst ? [answerOne, answerTwo] : [answerTwo, answerOne]
      const exchanges = [
        { command: a, result: resultA, answer: answerA },
        { command: b, result: resultB, answer: answerB },
      ]
      try {
        checkWorld(both, exchanges, tables)
        return both
      } catch (error) {
        problems.push((error as Error).message)
      }
    }
  }
  throw new Error(
    `Run at once, ${JSON.stringify(commands)} matches neither order:\n${problems.join('\n---\n')}`,
  )
}

async function runSequence(database: ModelDatabase, { apps, steps }: Sequence): Promise<void> {
  await database.reset()
  let world = emptyWorld(CATALOG)
  const exchanges: Exchange[] = []
  async function runCommand(command: Command, operator: 0 | 1 = 0): Promise<void> {
    const [next, exchange] = await runOne(database, world, command, operator)
    world = next
    exchanges.push(exchange)
  }
  async function runStep(step: Step): Promise<void> {
    if (step.does === 'one') return runCommand(commandFor(world, apps, step.command), step.operator)
    if (step.does === 'both') {
      const [a, b] = step.commands.map((each) => commandFor(world, apps, each))
      world = await runBoth(database, world, [a as Command, b as Command])
      return
    }
    for (const command of wholeRebuild(step.succeeds)) await runCommand(command)
    for (const [app, { status }] of Object.entries(world.apps)) {
      if (status === 'starting') await runCommand({ verb: 'health', app, healthy: true })
    }
  }
  for (const step of steps) await runStep(step)
  checkWorld(world, exchanges, await database.readTables())
}

test(`the database agrees with the model after each of ${RUNS} random sequences (seed ${SEED})`, async () => {
  const databases = await Promise.all(Array.from({ length: DATABASES }, () => testDatabase('model')))
  const modelDatabases = await Promise.all(databases.map((database) => openModelDatabase(database, CATALOG)))
  try {
    await Promise.all(modelDatabases.map((database, nth) => runSequences(database, SEED + nth)))
  } finally {
    await Promise.all(modelDatabases.map((database) => database.close()))
    await Promise.all(databases.map((database) => database.drop()))
  }
})

async function runSequences(database: ModelDatabase, seed: number): Promise<void> {
  const result = await fc.check(
    fc.asyncProperty(sequence, (each) => runSequence(database, each)),
    { seed, numRuns: PATH ? 1 : Math.ceil(RUNS / DATABASES), ...(PATH ? { path: PATH } : {}) },
  )
  if (!result.failed) return
  const repeat = `MODEL_SEED=${result.seed} MODEL_PATH=${result.counterexamplePath}`
  const text = JSON.stringify(result.counterexample?.[0], null, 1)
  throw new Error(`Repeat with: ${repeat}\n${text}\n${(result.errorInstance as Error)?.message}`)
}
