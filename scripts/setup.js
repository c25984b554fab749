/**
 * Installs the packages of package-lock.json before `npm start` and `npm test`, unless they are already
 * installed. Written in JavaScript, because the machine's Node may be too old for TypeScript.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 20
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const MODULES = join(ROOT, 'node_modules')
const OWN_NODE = join(MODULES, '.bin', 'node')

/** @param {string} message */
function giveUp(message) {
  console.error(`\n${message}\n`)
  process.exit(1)
}

/** @param {string} name */
const readJson = (name) => JSON.parse(readFileSync(join(ROOT, name), 'utf8'))

/** Returns the version of Node that package.json requires as a development dependency. */
const wantedNode = () => `v${readJson('package.json').devDependencies.node}`

/**
 * True if every package of the lock file is installed. Optional packages may be missing, because some are for
 * other platforms.
 */
function isInstalled() {
  if (!existsSync(join(MODULES, '.package-lock.json'))) return false
  const wanted = readJson('package-lock.json').packages
  const found = readJson('node_modules/.package-lock.json').packages
  return Object.keys(wanted).every(
    (path) => path === '' || (wanted[path].optional && !found[path]) || isSame(wanted[path], found[path]),
  )
}

/**
 * @param {{ version: string, integrity: string }} wanted
 * @param {{ version: string, integrity: string } | undefined} found
 */
const isSame = (wanted, found) => wanted.version === found?.version && wanted.integrity === found.integrity

/** Returns the version of the Node in node_modules, or an empty text if this Node is missing or can't run. */
function installedNode() {
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
 * @param {string[]} args
 * @param {string} [cwd]
 */
function npm(args, cwd = ROOT) {
  // The npm that started this script is used, because a different npm may come first in the PATH.
  const cli = process.env.npm_execpath
  const [command, first] = cli && /\.c?js$/.test(cli) ? [process.execPath, [cli]] : ['npm', []]
  return spawnSync(command, [...first, ...args], { cwd, stdio: 'inherit' }).status === 0
}

function install() {
  console.log('Installing what package-lock.json lists (once; about 300 MB) …')
  // The option --include=dev is needed because Node is a development dependency.
  if (!npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])) {
    giveUp('npm ci failed, its output is above. Check that the registry is reachable, then try again.')
  }
}

/**
 * Downloads the required Node to node_modules. The install script of the package `node` is not used, because
 * some machines forbid install scripts.
 */
function fetchNode() {
  const folder = join(MODULES, 'node')
  if (!existsSync(folder)) return
  console.log(`Fetching Node ${wantedNode()} …`)
  spawnSync(process.execPath, ['installArchSpecificPackage'], {
    cwd: folder,
    stdio: 'inherit',
    env: { ...process.env, npm_config_ignore_scripts: 'false' },
  })
  // Creates the link to Node in node_modules/.bin, because Node was not yet downloaded when npm created the
  // other links.
  rmSync(OWN_NODE, { force: true })
  symlinkSync(join('..', 'node', 'bin', 'node'), OWN_NODE)
}

function main() {
  const major = Number.parseInt(process.versions.node, 10)
  if (major < OLDEST_NODE) {
    const needed = `Bloud needs Node ${OLDEST_NODE} or newer to install itself`
    giveUp(`${needed}; this is ${process.version}. Get it from https://nodejs.org`)
  }
  if (!isInstalled()) install()
  if (installedNode() !== wantedNode()) fetchNode()
  if (installedNode() !== wantedNode()) {
    giveUp(`node_modules/.bin/node is not Node ${wantedNode()}. Remove node_modules and try again.`)
  }
}

main()
