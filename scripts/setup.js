/**
 * Installs the packages of package-lock.json before `npm start` and `npm test`, unless they are installed.
 * With the option --dev, the packages that only development needs are installed too. Written in JavaScript,
 * because the Node of the machine may be too old to run TypeScript.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { hasOwnBinary, prune } from './prune.js'

const OLDEST_NODE = 20
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const MODULES = join(ROOT, 'node_modules')
const OWN_NODE = join(MODULES, '.bin', 'node')
// Install scripts are not run, because no package needs them: fetchNode downloads Node, and the agent makes
// the links between PostgreSQL's libraries itself.
const NPM_OPTIONS = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']

/** @param {string} message */
function giveUp(message) {
  console.error(`\n${message}\n`)
  process.exit(1)
}

/** @param {string} name */
const readJson = (name) => JSON.parse(readFileSync(join(ROOT, name), 'utf8'))

const wantedNode = () => `v${readJson('package.json').dependencies.node}`

/** @returns {Record<string, any>} the packages in node_modules, by path. */
function installedPackages() {
  if (!existsSync(join(MODULES, '.package-lock.json'))) return {}
  return readJson('node_modules/.package-lock.json').packages
}

/**
 * True if every package of package-lock.json is installed. Optional packages may be missing, because some of
 * them are for other operating systems.
 * @param {boolean} dev Includes the packages for development.
 */
function isInstalled(dev) {
  const wanted = readJson('package-lock.json').packages
  const found = installedPackages()
  const isMissing = (/** @type {string} */ path) => {
    if (path === '' || (wanted[path].dev && !dev) || (wanted[path].optional && !found[path])) return false
    return !isSame(wanted[path], found[path])
  }
  return !Object.keys(wanted).some(isMissing) && hasOwnBinary(MODULES)
}

const hasDevPackages = () => Object.values(installedPackages()).some(({ dev }) => dev)

/**
 * @param {{ version: string, integrity: string }} wanted
 * @param {{ version: string, integrity: string } | undefined} found
 */
const isSame = (wanted, found) => wanted.version === found?.version && wanted.integrity === found.integrity

function installedNode() {
  // npm puts node_modules/.bin in front of PATH.
  if (isSameFile(process.execPath, OWN_NODE)) return process.version
  try {
    return execFileSync(OWN_NODE, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return ''
  }
}

/**
 * @param {string} one
 * @param {string} other
 */
function isSameFile(one, other) {
  try {
    return realpathSync(one) === realpathSync(other)
  } catch {
    return false
  }
}

/** Strips the types of the TypeScript files. If that fails, each process of the agent strips them itself. */
async function stripTypes() {
  const program = join(ROOT, 'src/system/typestrip/fill.js')
  if (!isSameFile(process.execPath, OWN_NODE)) return void spawnSync(OWN_NODE, [program], { stdio: 'ignore' })
  process.removeAllListeners('warning') // Node announces that the function for it is experimental.
  await import(pathToFileURL(program).href).catch(() => undefined)
}

/**
 * @param {string[]} args
 * @param {string} [cwd]
 */
function npm(args, cwd = ROOT) {
  // Uses the npm that started this script, because the first npm in PATH may be another version.
  const cli = process.env.npm_execpath
  const [command, first] = cli && /\.c?js$/.test(cli) ? [process.execPath, [cli]] : ['npm', []]
  return spawnSync(command, [...first, ...args], { cwd, stdio: 'inherit' }).status === 0
}

/** @param {boolean} dev */
function install(dev) {
  console.log(`Installing what package-lock.json lists (once; about ${dev ? 340 : 230} MB) …`)
  if (!npm(['ci', dev ? '--include=dev' : '--omit=dev', ...NPM_OPTIONS])) {
    giveUp('npm ci failed, its output is above. Check that the registry is reachable, then try again.')
  }
}

/**
 * Adds the packages for development. Unlike `npm ci`, `npm install` keeps the installed packages, because a
 * running agent may use them.
 */
function addDevPackages() {
  console.log('Installing the tools for development that package-lock.json lists (once; about 110 MB) …')
  npm(['install', '--no-save', '--include=dev', ...NPM_OPTIONS])
}

/**
 * Downloads Node to node_modules, as the install script of the npm package `node` would do. npm, which this
 * script starts, runs no install scripts.
 */
function fetchNode() {
  const folder = join(MODULES, 'node')
  if (!existsSync(folder)) return
  console.log(`Fetching Node ${wantedNode()} …`)
  spawnSync(process.execPath, ['installArchSpecificPackage'], {
    cwd: folder,
    stdio: 'inherit',
    env: { ...process.env, npm_config_ignore_scripts: 'true' },
  })
  // npm creates a link in node_modules/.bin only for a file that exists, and Node was not downloaded then.
  rmSync(OWN_NODE, { force: true })
  mkdirSync(dirname(OWN_NODE), { recursive: true })
  symlinkSync(join('..', 'node', 'bin', 'node'), OWN_NODE)
}

async function main() {
  const major = Number.parseInt(process.versions.node, 10)
  if (major < OLDEST_NODE) {
    const needed = `Bloud needs Node ${OLDEST_NODE} or newer to install itself`
    giveUp(`${needed}; this is ${process.version}. Get it from https://nodejs.org`)
  }
  const dev = process.argv.includes('--dev')
  if (dev && isInstalled(false) && !isInstalled(true)) addDevPackages()
  if (!isInstalled(dev)) install(dev || hasDevPackages())
  if (installedNode() !== wantedNode()) fetchNode()
  if (installedNode() !== wantedNode()) {
    giveUp(`node_modules/.bin/node is not Node ${wantedNode()}. Remove node_modules and try again.`)
  }
  prune(MODULES)
  await stripTypes()
}

await main()
