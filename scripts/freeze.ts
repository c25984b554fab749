/**
 * Freezes the migrations: writes the hash of each that has none yet into sql/migrations/FROZEN. Done when they land; from
 * then on a change of one is an error, as databases out there have seen it. `sha256sum -c FROZEN` reads it too.
 *
 *   node scripts/freeze.ts
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MIGRATIONS = join(import.meta.dirname, '../sql/migrations')
const HEAD =
  '# Migrations that have landed, and their hashes. Never change one: add another. See scripts/freeze.ts.\n'
const LINE = /^([0-9a-f]{64}) {2}(\S+\.sql)$/

export interface Frozen {
  /** Hash by name of file, in the order of the manifest. */
  hashes: Map<string, string>
  /** Migrations that are not in it yet. */
  fresh: string[]
  /** A sentence for each thing that must not be. */
  problems: string[]
}

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

/** What the manifest in a folder says, held against the files there. */
export function readFrozen(folder: string): Frozen {
  const manifest = join(folder, 'FROZEN')
  const text = existsSync(manifest) ? readFileSync(manifest, 'utf8') : ''
  const files = readdirSync(folder).filter((name) => name.endsWith('.sql'))
  const hashes = new Map<string, string>()
  const problems: string[] = []
  for (const line of text.split('\n').filter((each) => each && !each.startsWith('#'))) {
    const [, hash = '', name = ''] = LINE.exec(line) ?? []
    if (!name) problems.push(`FROZEN has a line that is none: ${line}`)
    else if (!files.includes(name)) problems.push(`${name} has landed and is gone`)
    else if (hashOf(join(folder, name)) !== hash)
      problems.push(`${name} has landed and was changed: write another migration`)
    hashes.set(name, hash)
  }
  const last = [...hashes.keys()].sort().at(-1) ?? ''
  const fresh = files.filter((name) => !hashes.has(name)).sort()
  for (const name of fresh)
    if (name < last) problems.push(`${name} would come before ${last}, which has landed`)
  return { hashes, fresh, problems }
}

/** Adds what is new to the manifest. @returns what it added. @throws when something must not be. */
export function freeze(folder: string): string[] {
  const { hashes, fresh, problems } = readFrozen(folder)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  for (const name of fresh) hashes.set(name, hashOf(join(folder, name)))
  const lines = [...hashes].map(([name, hash]) => `${hash}  ${name}\n`)
  writeFileSync(join(folder, 'FROZEN'), HEAD + lines.join(''))
  return fresh
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
