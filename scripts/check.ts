/**
 * Command `npm run check`: checks types, lint, format, imports between layers, the width of lines and the
 * length of files, all without a database.
 */
import { join } from 'node:path'
import { run } from '../src/system/childprocess.ts'

const ROOT = join(import.meta.dirname, '..')
const CHECK_LIMIT_MS = 5 * 60_000

async function check(name: string, command: string, args: string[]): Promise<string | null> {
  const begin = Date.now()
  const { code, output } = await run(command, args, { cwd: ROOT, env: process.env, limitMs: CHECK_LIMIT_MS })
  const seconds = ((Date.now() - begin) / 1000).toFixed(1)
  console.log(code === 0 ? `✔ ${name} (${seconds} s)` : `✖ ${name} (${seconds} s)\n${output}`)
  return code === 0 ? null : name
}

export async function staticChecks(): Promise<string[]> {
  const program = (name: string) => join(ROOT, 'node_modules/.bin', name)
  const outcomes = await Promise.all([
    check('types', program('tsc'), ['--noEmit', '--pretty', 'false']),
    check('lint and format', program('biome'), ['check', '--colors=off', '--error-on-warnings', '.']),
    check('imports go down', process.execPath, [join(ROOT, 'scripts/floors.ts')]),
    check('lines fit 110 columns, files 300 lines', process.execPath, [join(ROOT, 'scripts/width.ts')]),
  ])
  return outcomes.filter((name) => name !== null)
}

if (process.argv[1] === import.meta.filename) {
  process.exitCode = (await staticChecks()).length === 0 ? 0 : 1
}
