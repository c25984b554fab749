/**
 * The script of the web page. It is joined at the first start of a version and cached, because joining takes
 * 0.3 s and 17 MB.
 */
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { ROOT, readCached, writeCached } from '../system/typestrip/cache.js'

const CACHE = join(ROOT, 'node_modules/.cache/page')

/** npm packages whose modules the page imports, by import name, each with the file of the module. */
const VENDOR: Record<string, readonly [name: string, file: string]> = {
  preact: ['preact', 'dist/preact.mjs'],
  'preact/hooks': ['preact', 'hooks/dist/hooks.mjs'],
  htm: ['htm', 'dist/htm.module.js'],
}

/**
 * Returns the folder of an installed npm package. `require.resolve` is not used, because it refuses files
 * that the package does not list in its `exports`.
 */
function packageFolder(name: string): string {
  const require = createRequire(import.meta.url)
  const folders = require.resolve.paths(name) ?? []
  const found = folders
    .map((folder) => join(folder, name))
    .find((folder) => existsSync(join(folder, 'package.json')))
  if (!found) throw new Error(`The package ${name} is not installed: run npm ci`)
  return found
}

function resolveModule(specifier: string, from: string): string {
  if (specifier.startsWith('.')) return join(dirname(from), specifier)
  const vendor = VENDOR[specifier]
  if (!vendor) throw new Error(`${from} imports ${specifier}: add it to VENDOR in src/http/pagescript.ts`)
  return join(packageFolder(vendor[0]), vendor[1])
}

/** Returns all that the script is made of: the modules, and the program that joins them. */
function ingredients(publicDir: string, entry: string): Buffer {
  const own = globSync('**/*.js', { cwd: publicDir }).sort()
  const vendor = Object.keys(VENDOR).map((specifier) => resolveModule(specifier, publicDir))
  const files = [
    ...own.map((name) => join(publicDir, name)),
    ...vendor,
    join(import.meta.dirname, 'bundle.ts'),
  ]
  return Buffer.concat([
    Buffer.from(JSON.stringify([entry, own])),
    ...files.map((file) => readFileSync(file)),
  ])
}

/** Keeps only the newest script, if files can be written. */
function keep(source: Buffer, script: string, folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true })
    writeCached(source, script, folder)
  } catch {
    // The script is joined again at the next start.
  }
}

/**
 * Returns the script with the module `entry` of the folder and all that it imports.
 * @throws Error for unsupported syntax.
 */
export async function pageScript(publicDir: string, entry: string, folder = CACHE): Promise<string> {
  const source = ingredients(publicDir, entry)
  const cached = readCached(source, folder)
  if (cached !== null) return cached
  const { bundle } = await import('./bundle.ts')
  const read = (file: string) => readFileSync(file, 'utf8')
  const script = bundle({ entry: join(publicDir, entry), read, resolve: resolveModule })
  keep(source, script, folder)
  return script
}
