/**
 * Removes the parts of installed packages that this machine never uses: binaries of uWebSockets.js for other
 * systems, and in the package `node` the second link to Node, its documentation and the OpenSSL headers of
 * other processors. Each step can be interrupted and repeated.
 *
 * npm compares only names, versions and hashes, so the packages still count as installed.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Names that OpenSSL gives to the systems on which the agent runs. */
const OPENSSL_NAMES = new Map([
  ['linux-x64', 'linux-x86_64'],
  ['linux-arm64', 'linux-aarch64'],
  ['linux-arm', 'linux-armv4'],
  ['darwin-x64', 'darwin64-x86_64-cc'],
  ['darwin-arm64', 'darwin64-arm64-cc'],
])
/** Expression of the name of the uWebSockets.js binary that a Node loads. */
const BINARY_NAME = '["uws", process.platform, process.arch, process.versions.modules].join("_") + ".node"'

/** @param {string} modules */
const binariesIn = (modules) => join(modules, 'uWebSockets.js', 'dist', 'bin')

/** @param {string} folder */
const list = (folder) => (existsSync(folder) ? readdirSync(folder) : [])

/**
 * True unless uWebSockets.js is installed without a binary for this system, which is so if node_modules was
 * copied from another one.
 * @param {string} modules path of node_modules
 */
export function hasOwnBinary(modules) {
  const wanted = `uws_${process.platform}_${process.arch}_`
  const found = list(binariesIn(modules))
  return !existsSync(binariesIn(modules)) || found.some((name) => name.startsWith(wanted))
}

/** @param {string} modules path of node_modules, in which the package `node` has its Node. */
export function prune(modules) {
  pruneBinaries(binariesIn(modules), join(modules, '.bin', 'node'))
  pruneNode(join(modules, 'node'))
}

/**
 * @param {string} folder
 * @param {string} node the Node that loads the binary
 */
function pruneBinaries(folder, node) {
  if (list(folder).length < 2) return
  const own = execFileSync(node, ['-p', BINARY_NAME], { encoding: 'utf8' }).trim()
  // Without a binary for this Node, uWebSockets.js reports the supported versions when it is loaded.
  if (existsSync(join(folder, own))) removeAllBut(folder, own)
}

/**
 * Moves the headers to the place where an ordinary installation of Node has them. Native packages of apps are
 * compiled with them (src/host/local/nodeheaders.ts).
 * @param {string} folder
 */
function pruneNode(folder) {
  const nested = join(folder, 'node_modules')
  const headers = list(nested)
    .map((name) => join(nested, name, 'include'))
    .find((path) => existsSync(path))
  if (headers) {
    rmSync(join(folder, 'include'), { recursive: true, force: true })
    renameSync(headers, join(folder, 'include'))
  }
  rmSync(nested, { recursive: true, force: true })
  const systems = join(folder, 'include', 'node', 'openssl', 'archs')
  const own = OPENSSL_NAMES.get(`${process.platform}-${process.arch}`)
  if (own && existsSync(join(systems, own))) removeAllBut(systems, own)
}

/**
 * @param {string} folder
 * @param {string} kept
 */
function removeAllBut(folder, kept) {
  for (const name of readdirSync(folder)) {
    if (name !== kept) rmSync(join(folder, name), { recursive: true, force: true })
  }
}
