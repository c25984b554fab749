/**
 * Checks the house: imports only go down, and each special thing lives in one room.
 * What it knows of SQL and of the environment is what their usual spelling looks like; it is a fence, not a wall.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** From top to bottom; rooms on the same floor never import each other. */
const FLOORS = [['main'], ['config'], ['http'], ['relay', 'orchestrator'], ['host'], ['db'], ['domain']]
/** Every room may write a log, but for the vocabulary. */
const EVERYWHERE = 'log'
/** What the vocabulary is written in. */
const DOMAIN_PACKAGES = ['zod', 'yaml']

const IMPORT = /^\s*(?:import|export)\b[^'"]*?from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\('([^']+)'\)/gm
const SQL_TEXT = /\bsql\.(?:type|fragment|unsafe|typeAlias)\b|\.query\s*[(<]|\bsql`/

interface SourceFile {
  /** Relative to the top folder, for example src/db/pool.ts. */
  path: string
  room: string
  text: string
  imports: string[]
}

/** @returns a sentence for each thing that is where it must not be. */
export function checkFloors(root: string): string[] {
  const files = globSync('src/**/*.{ts,js}', { cwd: root })
    .sort()
    .map((path) => readSource(root, path))
  return [...files.flatMap(checkFile), ...findCycles(files), ...checkNotify(root)]
}

function readSource(root: string, path: string): SourceFile {
  const text = withoutComments(readFileSync(join(root, path), 'utf8'))
  const imports = [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
  return { path, room: roomOf(path), text, imports }
}

/** src/db/pool.ts is in db; src/config.ts is a room of its own. */
const roomOf = (path: string) => path.split('/')[1]?.replace(/\.[tj]s$/, '') ?? ''

/** Only comments that fill their lines: telling others from text in quotes would take a parser. */
const withoutComments = (text: string) =>
  text.replace(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, '').replace(/^\s*\/\/.*$/gm, '')

function checkFile(file: SourceFile): string[] {
  const problems = file.imports.map((target) => checkImport(file, target)).filter((each) => each !== null)
  if (file.room !== 'config' && /\bprocess\.env\b/.test(file.text)) {
    problems.push(`${file.path} reads process.env: only src/config.ts may`)
  }
  if (file.room !== 'db' && SQL_TEXT.test(file.text))
    problems.push(`${file.path} holds SQL: only src/db/ may`)
  return problems
}

function checkImport({ path, room }: SourceFile, target: string): string | null {
  if (target.startsWith('.')) {
    const to = roomOf(normalize(join(dirname(path), target)))
    return mayImport(room, to) ? null : `${path} imports ${target}: ${room} may not import ${to}`
  }
  if (/^uWebSockets\.js/.test(target) && room !== 'http') {
    return `${path} imports ${target}: only src/http/ may`
  }
  if (/^(node:)?child_process$/.test(target) && room !== 'host') {
    return `${path} imports ${target}: only src/host/ starts processes`
  }
  const foreign = room === 'domain' && !DOMAIN_PACKAGES.includes(target)
  return foreign
    ? `${path} imports ${target}: domain imports nothing but ${DOMAIN_PACKAGES.join(', ')}`
    : null
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true
  if (to === EVERYWHERE) return from !== 'domain'
  const floorOf = (room: string) => FLOORS.findIndex((rooms) => rooms.includes(room))
  return floorOf(from) >= 0 && floorOf(to) > floorOf(from)
}

function findCycles(files: SourceFile[]): string[] {
  const graph = new Map(
    files.map((file) => [file.path, file.imports.filter((target) => target.startsWith('.'))]),
  )
  const done = new Set<string>()
  const problems: string[] = []
  function visit(path: string, trail: string[]): void {
    if (trail.includes(path))
      problems.push(`cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' → ')}`)
    if (done.has(path) || trail.includes(path)) return
    for (const target of graph.get(path) ?? [])
      visit(normalize(join(dirname(path), target)), [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return problems
}

function checkNotify(root: string): string[] {
  return globSync('{src,sql}/**/*.{ts,js,sql}', { cwd: root })
    .filter((path) => path !== 'sql/triggers.sql')
    .filter((path) => /\bpg_notify\s*\(/i.test(withoutSqlComments(readFileSync(join(root, path), 'utf8'))))
    .map((path) => `${path} calls pg_notify: only sql/triggers.sql may`)
}

const withoutSqlComments = (text: string) => withoutComments(text).replace(/--.*$/gm, '')

if (process.argv[1] === import.meta.filename) {
  const problems = checkFloors(join(import.meta.dirname, '..'))
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
}
