/**
 * Command `npm test`: runs the static checks and the tests.
 *
 *   npm test                              everything
 *   npm test -- tests/db/error.test.ts    one test file, without the static checks
 *   npm test -- rollback                  test files with this text in the path, or else in the test name
 *   npm test -- --test-name-pattern=psql tests/main/start.test.ts   with options of node's test runner
 */
import { spawn } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../src/log.ts'
import { createEmbeddedPostgres } from '../src/postgres/embedded.ts'
import { exitOf } from '../src/system/childprocess.ts'
import { NODE_FLAGS } from '../src/system/nodeflags.ts'
import { withTimeout } from '../src/system/timeout.ts'
import { publicPrefix } from '../tests/support/directory.ts'
import { startOldestServer } from '../tests/support/postgres-server.ts'
import { staticChecks } from './check.ts'
import { endLeftovers } from './leftovers.ts'
import { prepareTools } from './test-tools.ts'

const ROOT = join(import.meta.dirname, '..')
const ALL_TESTS = 'tests/**/*.test.ts'
/** Tests that also run on PostgreSQL 15, the oldest supported version. */
const OLDEST_TESTS = [
  'tests/sql/*.test.ts',
  'tests/db/*.test.ts',
  'tests/relay/*.test.ts',
  'tests/stories/psql.test.ts',
]
const OLDEST_EXCLUDED = /tests\/sql\/(model|migrate|schema)\.test\.ts/
/**
 * Test files that run at the same time. One more than the two processor cores of the build machine, because
 * tests often wait for other processes.
 */
const CONCURRENCY = 3
const ONE_TEST_LIMIT_MS = 10 * 60_000
const ALL_LIMIT_MS = 40 * 60_000
const END_LIMIT_MS = 10_000

/**
 * Settings of PostgreSQL for tests. Protection against power failures is off, because the tests are faster
 * without it.
 */
const SETTINGS = { fsync: 'off', full_page_writes: 'off', max_connections: '300' }

const print = (line: string) => console.log(line)

/**
 * Returns the environment without variables of the agent and of PostgreSQL, because they would change the
 * tests.
 */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(BLOUD_|PG[A-Z]+$|DATABASE_URL$|NODE_TEST_CONTEXT$)/
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name))
  return { ...Object.fromEntries(kept), NODE_OPTIONS: NODE_FLAGS.join(' ') }
}

interface Selection {
  files: string[]
  flags: string[]
}

function select(args: string[]): Selection {
  const flags = args.filter((arg) => arg.startsWith('-'))
  const files: string[] = []
  for (const arg of args.filter((each) => !each.startsWith('-'))) {
    const found = statSync(join(ROOT, arg), { throwIfNoEntry: false })?.isFile()
      ? [arg]
      : globSync(ALL_TESTS, { cwd: ROOT }).filter((path) => path.includes(arg))
    if (found.length > 0) files.push(...found)
    else flags.push(`--test-name-pattern=${arg}`)
  }
  return { files: files.length > 0 ? files : [ALL_TESTS], flags }
}

/**
 * Runs test files in a process group of their own, so that one signal ends them with all their child
 * processes.
 * @returns true if all tests passed.
 */
async function runTests({ files, flags }: Selection, env: NodeJS.ProcessEnv): Promise<boolean> {
  const options = [`--test-concurrency=${CONCURRENCY}`, `--test-timeout=${ONE_TEST_LIMIT_MS}`, ...flags]
  // With a name filter, Node skips the cleanup of files in which no test matches, so servers stay open and
  // the process would never exit.
  if (flags.some((flag) => flag.startsWith('--test-name-pattern'))) options.push('--test-force-exit')
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
  if (!(await withTimeout(ending, ALL_LIMIT_MS))) {
    print(`✖ the tests take longer than ${ALL_LIMIT_MS / 60_000} minutes; stopped`)
    end('SIGTERM')
    if (!(await withTimeout(ending, END_LIMIT_MS))) end('SIGKILL')
  }
  return (await ending).code === 0
}

async function withEmbeddedServer<T>(folder: string, work: (url: string) => Promise<T>): Promise<T> {
  const dataDir = await fs.mkdtemp(join(folder, 'server-'))
  const postgres = createEmbeddedPostgres({ dataDir, log: createLogger('test', 'error'), settings: SETTINGS })
  try {
    const { superuserUrl } = await postgres.start()
    return await work(superuserUrl)
  } finally {
    await postgres.stop()
  }
}

/** Runs OLDEST_TESTS on PostgreSQL 15. Returns true without a test if PostgreSQL 15 is not installed. */
async function runOnOldest(folder: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const server = await startOldestServer(folder)
  if (!server) return true
  print(`\nPostgreSQL ${server.major}, the oldest supported version:`)
  const files = OLDEST_TESTS.flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  try {
    const selection = { files: files.filter((path) => !OLDEST_EXCLUDED.test(path)), flags: [] }
    return await runTests(selection, { ...env, BLOUD_TEST_DATABASE_URL: server.url })
  } finally {
    await server.stop()
  }
}

function printMissing(missing: string[]): void {
  for (const sentence of missing) print(`\n⚠ SKIPPED: ${sentence}`)
}

/**
 * Runs the selected tests with a new temporary directory.
 * @returns a sentence for each part that failed.
 */
async function runAll(args: string[], tools: NodeJS.ProcessEnv): Promise<string[]> {
  const folder = await fs.mkdtemp(join(tmpdir(), 'bloud-'))
  // Writable for every user, because some tests start programs as other users.
  await fs.chmod(folder, 0o1777)
  const env = { ...cleanEnvironment(), ...tools, TMPDIR: folder }
  const failed: string[] = []
  try {
    const passed = await withEmbeddedServer(folder, (url) =>
      runTests(select(args), { ...env, BLOUD_TEST_DATABASE_URL: url }),
    )
    if (!passed) failed.push('tests failed')
    if (args.length === 0 && !(await runOnOldest(folder, env))) failed.push('tests failed on PostgreSQL 15')
    for (const process of await endLeftovers(folder))
      print(`\n⚠ ended a process that a test left running: ${process}`)
  } finally {
    for (const path of [folder, ...globSync(`${publicPrefix(folder)}*`)])
      await fs.rm(path, { recursive: true, force: true, maxRetries: 5 })
  }
  return failed
}

async function main(args: string[]): Promise<number> {
  // Some tests start programs as other users, which must be able to read files of the test.
  process.umask(0o022)
  const { env, missing } = await prepareTools(print)
  printMissing(missing)
  if (missing.length > 0 && process.env.CI === 'true') {
    print('✖ With CI=true every test has to run.')
    return 1
  }
  const checks = args.length === 0 ? await staticChecks() : []
  const failed = [...checks, ...(await runAll(args, env))]
  printMissing(missing)
  for (const sentence of failed) print(`✖ ${sentence}`)
  return failed.length === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
