/**
 * Runs before `npm start` and `npm test`: installs what package-lock.json says, when that has not been done.
 * Plain JavaScript for whatever Node is on the machine; everything after it runs on the Node from node_modules.
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

/** The Node that package.json asks for as a development dependency. */
const wantedNode = () => `v${readJson('package.json').devDependencies.node}`

/**
 * Is everything installed as the lock says? npm writes its own list when an installation is complete, so one that
 * was interrupted counts as missing. Optional packages are those of other platforms.
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

/** What the installed Node says of itself; empty when there is none or it can't run. */
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
  // Started by npm: the same npm again, not another one that may come first in the PATH.
  const cli = process.env.npm_execpath
  const [command, first] = cli && /\.c?js$/.test(cli) ? [process.execPath, [cli]] : ['npm', []]
  return spawnSync(command, [...first, ...args], { cwd, stdio: 'inherit' }).status === 0
}

function install() {
  console.log('Installing what package-lock.json lists (once; about 300 MB) …')
  // --include=dev: the right Node is one of the development dependencies.
  if (!npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])) {
    giveUp('npm ci failed, see above. Is the registry reachable? Then try again.')
  }
}

/** The package `node` fetches the real program in an install script, which some machines forbid. */
function fetchNode() {
  const folder = join(MODULES, 'node')
  if (!existsSync(folder)) return
  console.log(`Fetching Node ${wantedNode()} …`)
  spawnSync(process.execPath, ['installArchSpecificPackage'], {
    cwd: folder,
    stdio: 'inherit',
    env: { ...process.env, npm_config_ignore_scripts: 'false' },
  })
  // npm links programs only while it installs, and at that time this one was not there yet.
  rmSync(OWN_NODE, { force: true })
  symlinkSync(join('..', 'node', 'bin', 'node'), OWN_NODE)
}

function main() {
  const major = Number.parseInt(process.versions.node, 10)
  if (major < OLDEST_NODE) {
    giveUp(
      `Bloud needs Node ${OLDEST_NODE} or newer to install itself; this is ${process.version}. See https://nodejs.org`,
    )
  }
  if (!isInstalled()) install()
  if (installedNode() !== wantedNode()) fetchNode()
  if (installedNode() !== wantedNode()) {
    giveUp(`node_modules/.bin/node is not Node ${wantedNode()}. Remove node_modules and try again.`)
  }
}

main()
