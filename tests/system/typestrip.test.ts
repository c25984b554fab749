/** Tests of the cache of TypeScript files without types, with a copy of its programs. */
import assert from 'node:assert/strict'
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { run } from '../../src/system/childprocess.ts'
import { temporaryDirectory } from '../support/directory.ts'

const FOLDER = temporaryDirectory()
const PROGRAMS = join(FOLDER, 'src/system/typestrip')
const CACHE = join(FOLDER, 'node_modules/.cache/typestrip', process.version)
const MAIN = join(FOLDER, 'src/main.ts')
const LIMIT_MS = 60_000

/** Prints its answer, and whether Node has loaded its program that strips types. */
const program = (answer: number) => `const answer: number = ${answer}
const hasStripped = process.moduleLoadList.some((name: string) => name.includes('amaro'))
console.log(answer, hasStripped ? 'stripped now' : 'cached')
`

async function node(...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH }
  const { code, output } = await run(process.execPath, args, { cwd: FOLDER, env, limitMs: LIMIT_MS })
  assert.equal(code, 0, output)
  return output
}

const start = () => node('--import', join(PROGRAMS, 'register.js'), MAIN)
const fill = () => node('--disable-warning=ExperimentalWarning', join(PROGRAMS, 'fill.js'))

before(async () => {
  await cp(join(ROOT, 'src/system/typestrip'), PROGRAMS, { recursive: true })
  await writeFile(join(FOLDER, 'package.json'), '{"type":"module"}')
  await writeFile(MAIN, program(1))
})

test('a file is loaded from the cache, and without one as Node does it', async () => {
  assert.equal(await start(), '1 stripped now')
  await fill()
  assert.equal(await start(), '1 cached')
})

test('a changed file is not taken from the cache, which the next fill brings up to date', async () => {
  await fill()
  await writeFile(MAIN, program(2))
  assert.equal(await start(), '2 stripped now')
  await fill()
  assert.equal(await start(), '2 cached')
  assert.equal((await readdir(CACHE)).length, 1)
})

test('a damaged file of the cache is not used, and repaired', async () => {
  await fill()
  const file = join(CACHE, (await readdir(CACHE))[0] ?? '')
  const whole = await readFile(file, 'utf8')
  for (const damage of [() => truncate(file, 0), () => writeFile(file, whole.replace('answer', 'answeR'))]) {
    await damage()
    assert.match(await start(), /^\d stripped now$/)
    await fill()
    assert.equal(await readFile(file, 'utf8'), whole)
  }
})

test('a cache that can not be written stops nothing', async () => {
  await rm(CACHE, { recursive: true, force: true })
  await writeFile(CACHE, 'a file instead of a folder')
  assert.match(await start(), /^\d stripped now$/)
  await rm(CACHE)
})
