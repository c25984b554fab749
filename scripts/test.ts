/**
 * `npm test`: everything that is checked, with everything it needs.
 *
 *   npm test                              all
 *   npm test -- tests/host/x.test.ts      some test files, without types, lint and floors
 *   npm test -- --test-name-pattern=psql tests/main/start.test.ts   with options of node's test runner
 */
import { spawn } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../src/log.ts'
import { createEmbeddedPostgres, type EmbeddedPostgres } from '../src/postgres/embedded.ts'
import { exitOf, run } from '../src/system/childprocess.ts'
import { within } from '../src/system/timeout.ts'
import { prepareTools } from './test-tools.ts'

const ROOT = join(import.meta.dirname, '..')
const ALL_TESTS = 'tests/**/*.test.ts'
/** Two files at a time: some of them measure what happens under load, and two cores are the smallest machine. */
const CONCURRENCY = 2
const ONE_TEST_LIMIT_MS = 10 * 60_000
const ALL_LIMIT_MS = 40 * 60_000
const CHECK_LIMIT_MS = 5 * 60_000
const END_LIMIT_MS = 10_000

/** The tests need no safety from power cuts, and more connections than an agent. */
const SETTINGS = { fsync: 'off', full_page_writes: 'off', max_connections: '300' }

const say = (line: string) => console.log(line)

/** The tests see none of our own settings, so that they find the same world everywhere. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(BLOUD_|PG[A-Z]+$|DATABASE_URL$|NODE_TEST_CONTEXT$)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
}

async function check(name: string, command: string, args: string[]): Promise<string | null> {
  const begin = Date.now()
  const { code, output } = await run(command, args, { cwd: ROOT, env: process.env, limitMs: CHECK_LIMIT_MS })
  const seconds = ((Date.now() - begin) / 1000).toFixed(1)
  say(code === 0 ? `✔ ${name} (${seconds} s)` : `✖ ${name} (${seconds} s)\n${output}`)
  return code === 0 ? null : name
}

/** @returns the names of the checks that failed. */
async function staticChecks(): Promise<string[]> {
  const outcomes = await Promise.all([
    check('types', join(ROOT, 'node_modules/.bin/tsc'), ['--noEmit', '--pretty', 'false']),
    check('lint and format', join(ROOT, 'node_modules/.bin/biome'), [
      'check',
      '--colors=off',
      '--error-on-warnings',
      '.',
    ]),
    check('imports go down', process.execPath, [join(ROOT, 'scripts/floors.ts')]),
  ])
  return outcomes.filter((name) => name !== null)
}

/** Runs the test files in a process group of their own, so that all of it can be ended. */
async function runTests(args: string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  // node takes what follows the first file as that file's own.
  const given = Object.groupBy(args, (arg) => (arg.startsWith('-') ? 'flags' : 'files'))
  const options = [
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${ONE_TEST_LIMIT_MS}`,
    ...(given.flags ?? []),
  ]
  // In a file whose tests are all left out node does not wait for its hooks, and what they open stays open.
  if (args.some((arg) => arg.startsWith('--test-name-pattern'))) options.push('--test-force-exit')
  const files = given.files ?? [ALL_TESTS]
  const child = spawn(process.execPath, ['--test', '--test-reporter=spec', ...options, ...files], {
    cwd: ROOT,
    env,
    stdio: 'inherit',
    detached: true,
  })
  const end = (name: NodeJS.Signals) => {
    if (child.pid) process.kill(-child.pid, name)
  }
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const name of signals) process.once(name, () => end('SIGTERM'))
  const ending = exitOf(child)
  if (!(await within(ending, ALL_LIMIT_MS))) {
    say(`✖ the tests take longer than ${ALL_LIMIT_MS / 60_000} minutes; stopped`)
    end('SIGTERM')
    if (!(await within(ending, END_LIMIT_MS))) end('SIGKILL')
  }
  return (await ending).code === 0
}

async function withCluster<T>(work: (url: string) => Promise<T>): Promise<T> {
  const dataDir = await fs.mkdtemp(join(tmpdir(), 'bloud-test-'))
  const postgres: EmbeddedPostgres = createEmbeddedPostgres({
    dataDir,
    log: createLogger('test', 'error'),
    settings: SETTINGS,
  })
  try {
    const { superuserUrl } = await postgres.start()
    return await work(superuserUrl)
  } finally {
    await postgres.stop()
    await fs.rm(dataDir, { recursive: true, force: true })
  }
}

/** Skipped tests are easily overlooked: said before, said after, and an error where everything should be there. */
function sayMissing(missing: string[]): void {
  for (const sentence of missing) say(`\n⚠ SKIPPED: ${sentence}`)
}

async function main(args: string[]): Promise<number> {
  const { env, missing } = await prepareTools(say)
  sayMissing(missing)
  if (missing.length > 0 && process.env.CI === 'true') {
    say('✖ With CI=true every test has to run.')
    return 1
  }
  const failed = args.length === 0 ? await staticChecks() : []
  const passed = await withCluster((url) =>
    runTests(args, { ...cleanEnvironment(), ...env, BLOUD_TEST_DATABASE_URL: url }),
  )
  sayMissing(missing)
  for (const name of failed) say(`✖ ${name}: failed, see the top`)
  return passed && failed.length === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
