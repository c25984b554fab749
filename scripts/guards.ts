/**
 * Removes one guard after another from a copy of the source code and runs the tests that must notice it:
 *
 *   node scripts/guards.ts                   all guards
 *   node scripts/guards.ts --guard=lease     guards with this text in the name or in the path of the file;
 *                                            the option may be repeated
 *   node scripts/guards.ts --jobs=2          number of guards that are tested at the same time
 *
 * A guard is noticed if at least one test fails and at least one passes. If every test fails, the program
 * without the guard probably does not start at all, which proves nothing. The tests of each guard must first
 * pass in a copy with all guards. Prints a line for each guard, then a JSON summary. Exits with 1 if a guard
 * is not noticed.
 *
 * Must not run on a machine with an agent in use, because a program without its guard can kill the processes
 * of other agents.
 */
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { run } from '../src/system/childprocess.ts'
import { type Guard, withoutGuard } from './guards/guard.ts'
import { GUARDS } from './guards/list.ts'
import { option } from './option.ts'

const ROOT = join(import.meta.dirname, '..')
/** Upper limit in milliseconds of a run of the tests of one guard. The slowest story takes 2 minutes. */
const RUN_LIMIT_MS = 8 * 60_000

interface Result {
  passed: number
  failed: number
  /** Names of the tests that failed, one per line. */
  failures: string
}

async function copySource(folder: string): Promise<string> {
  const copy = await fs.mkdtemp(join(folder, 'source-'))
  await fs.chmod(copy, 0o755)
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const files = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean)
  for (const file of files) {
    await fs.mkdir(dirname(join(copy, file)), { recursive: true })
    await fs.cp(join(ROOT, file), join(copy, file), { recursive: true })
  }
  await fs.symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

async function runTests(copy: string, tests: readonly string[]): Promise<Result> {
  // The results of the tests are filtered, because `run` keeps only the end of a long output.
  const script = `"$0" scripts/test.ts "$@" 2>&1 | grep -E '^ℹ (pass|fail|cancelled) |^ *✖ '`
  const args = ['-c', script, process.execPath, ...tests]
  const { output } = await run('bash', args, { cwd: copy, env: process.env, limitMs: RUN_LIMIT_MS })
  const count = (label: string) => Number(new RegExp(`^ℹ ${label} (\\d+)$`, 'm').exec(output)?.[1] ?? 0)
  const lines = output.split('\n').filter((line) => line.includes('✖'))
  return {
    passed: count('pass'),
    failed: count('fail') + count('cancelled'),
    failures: [...new Set(lines)].join('\n'),
  }
}

/** @returns a reason why the result does not show that the tests notice the missing guard, or null. */
async function whyUnnoticed(copy: string, guard: Guard): Promise<string | null> {
  const path = join(copy, guard.file)
  const text = await fs.readFile(path, 'utf8')
  await fs.writeFile(path, withoutGuard(guard, text))
  try {
    if (/\.[jt]s$/.test(path)) execFileSync(process.execPath, ['--check', path], { stdio: 'pipe' })
    const { passed, failed } = await runTests(copy, guard.tests)
    if (passed === 0) return 'no test passed'
    return failed > 0 ? null : 'no test failed'
  } finally {
    await fs.writeFile(path, text)
  }
}

async function testGuards(guards: readonly Guard[], jobs: number): Promise<string[]> {
  const folder = await fs.mkdtemp(join(tmpdir(), 'bloud-guards-'))
  await fs.chmod(folder, 0o755)
  const unnoticed: string[] = []
  const queue = [...guards]
  const work = async () => {
    const copy = await copySource(folder)
    for (let guard = queue.shift(); guard; guard = queue.shift()) {
      const reason = await whyUnnoticed(copy, guard).catch((error: Error) => error.message)
      console.log(`${reason === null ? '✔' : '✖'} ${guard.name}${reason === null ? '' : `: ${reason}`}`)
      if (reason !== null) unnoticed.push(guard.name)
    }
  }
  try {
    const files = new Set(guards.flatMap(({ tests }) => tests))
    const { passed, failed, failures } = await runTests(await copySource(folder), [...files])
    if (passed === 0 || failed > 0) throw new Error(`Tests fail with all guards:\n${failures}`)
    await Promise.all(Array.from({ length: jobs }, work))
  } finally {
    await fs.rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return unnoticed
}

const texts = process.argv.flatMap((arg) => /^--guard=(.*)$/.exec(arg)?.[1] ?? [])
const selected = GUARDS.filter(
  ({ name, file }) => texts.length === 0 || texts.some((text) => name.includes(text) || file.includes(text)),
)
const unnoticed = await testGuards(selected, option('jobs', 1))
console.log(
  JSON.stringify({ guards: selected.length, noticed: selected.length - unnoticed.length, unnoticed }),
)
process.exitCode = unnoticed.length === 0 && selected.length > 0 ? 0 : 1
