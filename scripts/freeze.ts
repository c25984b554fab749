/**
 * Adds the hashes of new migrations to sql/migrations/FROZEN: `node scripts/freeze.ts`. A migration in this
 * file is frozen (it must not change), because databases may already have applied it.
 *
 * To be run when a new migration is merged into the main branch.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MIGRATIONS = join(import.meta.dirname, '../sql/migrations')
const HEAD =
  '# Migrations that have landed, and their hashes. Never change one: add another. See scripts/freeze.ts.\n'
/** Length of the number at the start of a migration's file name, as in 0001_core.sql. */
const NUMBER_LENGTH = 4
const LINE = /^([0-9a-f]{64}) {2}(\S+\.sql)$/

export interface Frozen {
  hashes: Map<string, string>
  unfrozen: string[]
  problems: string[]
}

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

export function readFrozen(folder: string): Frozen {
  const manifest = join(folder, 'FROZEN')
  const text = existsSync(manifest) ? readFileSync(manifest, 'utf8') : ''
  const files = readdirSync(folder).filter((name) => name.endsWith('.sql'))
  const hashes = new Map<string, string>()
  const problems: string[] = []
  for (const line of text.split('\n').filter((each) => each && !each.startsWith('#'))) {
    const [, hash = '', name = ''] = LINE.exec(line) ?? []
    if (!name) problems.push(`FROZEN has an invalid line: ${line}`)
    else if (!files.includes(name)) problems.push(`${name} is frozen but does not exist`)
    else if (hashOf(join(folder, name)) !== hash)
      problems.push(`${name} is frozen and was changed: write another migration`)
    hashes.set(name, hash)
  }
  const last = [...hashes.keys()].sort().at(-1) ?? ''
  const unfrozen = files.filter((name) => !hashes.has(name)).sort()
  for (const name of unfrozen)
    if (name < last) problems.push(`${name} would run before ${last}, which is frozen`)
  for (const same of Object.values(Object.groupBy(files, (name) => name.slice(0, NUMBER_LENGTH))))
    if (same && same.length > 1) problems.push(`${same.sort().join(' and ')} have the same number`)
  return { hashes, unfrozen, problems }
}

/**
 * Adds new migrations to the file FROZEN, and returns their file names.
 * @throws if a frozen migration was changed.
 */
export function freeze(folder: string): string[] {
  const { hashes, unfrozen, problems } = readFrozen(folder)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  for (const name of unfrozen) hashes.set(name, hashOf(join(folder, name)))
  const lines = [...hashes].map(([name, hash]) => `${hash}  ${name}\n`)
  writeFileSync(join(folder, 'FROZEN'), HEAD + lines.join(''))
  return unfrozen
}

if (process.argv[1] === import.meta.filename) {
  try {
    const added = freeze(MIGRATIONS)
    console.log(added.length > 0 ? `Frozen: ${added.join(', ')}` : 'Nothing new to freeze.')
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
