/**
 * Checks that a folder imports only from lower layers, and that certain APIs (SQL, process.env …) are used
 * only in certain folders.
 *
 * - src/: a folder imports only from the layers below its own layer in LAYERS.
 * - public/: net/ imports only from state/, state/ from no folder, views/ only from state/.
 * - src/host/: local/ and nixos/ never import each other.
 * - src/ and public/ import only packages that `npm start` installs. scripts/*.js imports no package at all,
 *   because it runs before the installation.
 * - A file that starts a program of this repository as a process counts as importing the program.
 *
 * SQL text and reads of process.env are found with regular expressions, which miss unusual spellings.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Layers of src/ from top to bottom. Folders of the same layer must not import each other. */
const LAYERS = [
  ['main'],
  ['config'],
  ['http'],
  ['relay', 'orchestrator'],
  ['host'],
  ['db', 'postgres'],
  ['system'],
  ['domain'],
]
/** Layers of public/ from top to bottom. `page` stands for the files directly in public/. */
const PAGE_LAYERS = [['page'], ['views', 'net'], ['state']]
/** src/log.ts, the only file that every folder of src/ except domain may import. */
const EVERYWHERE = 'log'
const DOMAIN_PACKAGES = ['zod', 'yaml']
const PROCESS_FOLDERS = ['host', 'postgres', 'system']

const IMPORT =
  /^\s*(?:import|export)\b[^'"]*?from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport(?:\.meta\.resolve)?\('([^']+)'\)/gm
/** Matches the path of a program that is started as a process: `new URL('./switch.ts', import.meta.url)`. */
const PROGRAM = /\bnew URL\('(\.[^']+)', import\.meta\.url\)|\bimport\.meta\.dirname, '([^']+\.[jt]s)'/g
/** Matches the name of a package at the beginning of an import: `preact` in `preact/hooks`. */
const PACKAGE = /^(?:@[^/]+\/)?[^/]+/
const SQL_TEXT = /\bsql\.(?:type|fragment|unsafe|typeAlias)\b|\.query\s*[(<]|\bsql`/

interface Manifest {
  dependencies: Record<string, string>
}

interface SourceFile {
  path: string
  folder: string
  text: string
  imports: string[]
}

/** Returns a sentence for each import or call below `root` that is not allowed. */
export function checkFloors(root: string): string[] {
  const server = readSources(root, 'src/**/*.{ts,js}', folderOf)
  const page = readSources(root, 'public/**/*.js', pageFolderOf)
  return [
    ...server.flatMap(checkServerFile),
    ...page.flatMap(checkPageFile),
    ...[...server, ...page].flatMap((file) => checkPackages(file, installedByStart(root))),
    ...readSources(root, 'scripts/*.js', folderOf).flatMap((file) => checkPackages(file, [])),
    ...findCycles([...server, ...page]),
    ...checkNotify(root),
  ]
}

const folderOf = (path: string) => path.split('/')[1]?.replace(/\.[tj]s$/, '') ?? ''

function pageFolderOf(path: string): string {
  const [, folder = '', file] = path.split('/')
  return file === undefined ? 'page' : folder
}

function readSources(root: string, pattern: string, folder: (path: string) => string): SourceFile[] {
  return globSync(pattern, { cwd: root })
    .sort()
    .map((path) => {
      const text = withoutComments(readFileSync(join(root, path), 'utf8'))
      const imported = [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
      const started = [...text.matchAll(PROGRAM)].map((match) => match[1] ?? `./${match[2]}`)
      const imports = [...imported, ...started]
      return { path, folder: folder(path), text, imports }
    })
}

/**
 * Removes comments that fill whole lines. Comments after code stay, because `//` there may be part of a
 * string.
 */
const withoutComments = (text: string) =>
  text.replace(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, '').replace(/^\s*\/\/.*$/gm, '')

function checkServerFile(file: SourceFile): string[] {
  const problems = file.imports.map((target) => checkImport(file, target)).filter((each) => each !== null)
  if (file.folder !== 'config' && /\bprocess\.env\b/.test(file.text)) {
    problems.push(`${file.path} reads process.env: only src/config.ts and src/config/ may`)
  }
  if (file.folder !== 'db' && SQL_TEXT.test(file.text)) {
    problems.push(`${file.path} holds SQL: only src/db/ may`)
  }
  return problems
}

const targetOf = (path: string, target: string) => normalize(join(dirname(path), target))

function checkImport({ path, folder }: SourceFile, target: string): string | null {
  if (target.startsWith('.')) return checkRelativeImport(path, folder, targetOf(path, target), target)
  if (/^uWebSockets\.js/.test(target) && folder !== 'http') {
    return `${path} imports ${target}: only src/http/ may`
  }
  if (/^(node:)?child_process$/.test(target) && !PROCESS_FOLDERS.includes(folder)) {
    return `${path} imports ${target}: only src/{${PROCESS_FOLDERS.join(',')}}/ start processes`
  }
  const foreign = folder === 'domain' && !DOMAIN_PACKAGES.includes(target)
  return foreign
    ? `${path} imports ${target}: domain imports nothing but ${DOMAIN_PACKAGES.join(', ')}`
    : null
}

function checkRelativeImport(path: string, folder: string, file: string, target: string): string | null {
  const other = folderOf(file)
  if (!mayImport(folder, other)) return `${path} imports ${target}: ${folder} may not import ${other}`
  const [host, otherHost] = [path, file].map((each) => /^src\/host\/(local|nixos)\//.exec(each)?.[1])
  if (host && otherHost && host !== otherHost) {
    return `${path} imports ${target}: host/${host} may not import host/${otherHost}`
  }
  return null
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true
  if (to === EVERYWHERE) return from !== 'domain'
  return isBelow(LAYERS, from, to)
}

/** Returns the names of the packages that `npm start` installs, without those that they need themselves. */
function installedByStart(root: string): string[] {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  return Object.keys(dependencies)
}

function checkPackages({ path, imports }: SourceFile, allowed: string[]): string[] {
  const names = imports
    .filter((target) => !/^(\.|node:)/.test(target))
    .map((target) => PACKAGE.exec(target)?.[0] ?? '')
  return names
    .filter((name) => !allowed.includes(name))
    .map((name) => `${path} imports ${name}, which \`npm start\` does not install: add it to dependencies`)
}

function isBelow(layers: string[][], from: string, to: string): boolean {
  const layerOf = (folder: string) => layers.findIndex((folders) => folders.includes(folder))
  return layerOf(from) >= 0 && layerOf(to) > layerOf(from)
}

function checkPageFile({ path, folder, imports }: SourceFile): string[] {
  const targets = imports.filter((target) => target.startsWith('.'))
  return targets.flatMap((target) => {
    const other = pageFolderOf(targetOf(path, target))
    if (folder === other || isBelow(PAGE_LAYERS, folder, other)) return []
    return [`${path} imports ${target}: public/${folder} may not import public/${other}`]
  })
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
    for (const target of graph.get(path) ?? []) visit(targetOf(path, target), [...trail, path])
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
