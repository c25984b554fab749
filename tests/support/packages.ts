/** Creates small npm packages for tests, which are apps that run well or have a fault. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CatalogApp, catalogAppSchema } from '../../src/domain/catalog.ts'

/**
 * What the app in a package does:
 * - `healthy` responds on $PORT: 200 on /health, its process id on /pid, its environment on /env
 * - `exits` prints a message and ends with exit code 3 at once
 * - `silent` accepts connections and never responds
 * - `switchable` becomes unhealthy after POST /unhealthy, and healthy after POST /healthy
 * - `slow-install` is healthy, but its install waits until the file `<package>/go` exists, at most 60 s
 * - `forks` is healthy, and starts a child process that does not end together with its parent
 * - `stubborn` is healthy, and ignores SIGTERM
 * - `deaf` runs and never listens
 * - `waits` is healthy as soon as the file `<package>/listen` exists, and exits with code 3 at its start if
 *   `<package>/exit` exists
 * - `six-only` is healthy, and listens on the IPv6 address ::1 only
 */
export type Behaviour =
  | 'healthy'
  | 'exits'
  | 'silent'
  | 'switchable'
  | 'slow-install'
  | 'forks'
  | 'stubborn'
  | 'deaf'
  | 'waits'
  | 'six-only'

export interface PackageOptions {
  name: string
  behaviour?: Behaviour
  version?: string
  /** Number of further files in the package, each of some kilobytes. */
  files?: number
}

/** Creates the npm package `<dir>/<name>`. Returns its name for `npm install`, which begins with `file:`. */
export async function makePackage(dir: string, options: PackageOptions): Promise<string> {
  const { name, behaviour = 'healthy', version = '1.0.0', files = 0 } = options
  const path = join(dir, name)
  await mkdir(path, { recursive: true })
  const slow = behaviour === 'slow-install'
  const manifest = {
    name: `bloud-test-${name}`,
    version,
    type: 'module',
    bin: { app: 'app.js' },
    ...(slow && { scripts: { preinstall: `node wait.js ${JSON.stringify(join(path, 'go'))}` } }),
  }
  await writeFile(join(path, 'package.json'), JSON.stringify(manifest))
  const program = PROGRAMS[behaviour].replaceAll('PACKAGE_DIR', JSON.stringify(path))
  await writeFile(join(path, 'app.js'), `#!/usr/bin/env node\n${program}`)
  if (slow) await writeFile(join(path, 'wait.js'), WAIT)
  if (files > 0) await mkdir(join(path, 'files'), { recursive: true })
  for (let n = 0; n < files; n++)
    await writeFile(join(path, 'files', `${n}.js`), `// ${n}\n`.repeat(500 + (n % 700)))
  return `file:${path}`
}

/** Creates the file for which the install of a `slow-install` package waits. */
export const letInstall = (dir: string, name: string): Promise<void> => writeFile(join(dir, name, 'go'), '')

export function makeApp(name: string, port: number, npmPackage: string, more: object = {}): CatalogApp {
  return catalogAppSchema.parse({
    name,
    displayName: name,
    category: 'test',
    version: '1.0.0',
    port,
    healthCheck: { path: '/health', interval: 0.2, timeout: 20 },
    npm: { package: npmPackage, bin: 'app', ...fromPackage(npmPackage) },
    ...more,
  })
}

/** Returns the version of a package in the registry, or the install scripts of a local package. */
function fromPackage(npmPackage: string): object {
  if (!npmPackage.startsWith('file:')) return { version: '1.0.0' }
  const file = join(npmPackage.slice('file:'.length), 'package.json')
  const { name, scripts } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  return scripts ? { installScripts: [name] } : {}
}

const SERVER = `
import { createServer } from 'node:http'
let healthy = true
console.log('starting on port ' + process.env.PORT)
createServer((request, response) => {
  if (request.method === 'POST') healthy = request.url === '/healthy'
  if (request.url === '/health') response.statusCode = healthy ? 200 : 503
  if (request.url === '/pid') return response.end(String(process.pid))
  if (request.url === '/env') return response.end(JSON.stringify(process.env))
  response.end('ok')
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'))
`

const PROGRAMS: Record<Behaviour, string> = {
  healthy: SERVER,
  switchable: SERVER,
  'slow-install': SERVER,
  stubborn: `process.on('SIGTERM', () => console.log('no'))\n${SERVER}`,
  exits: `console.error('cannot find the settings file')\nprocess.exit(3)\n`,
  silent: `import { createServer } from 'node:net'\ncreateServer(() => {}).listen(Number(process.env.PORT), '127.0.0.1')\n`,
  deaf: `setInterval(() => {}, 1000)`,
  waits: `import { existsSync } from 'node:fs'
if (existsSync(PACKAGE_DIR + '/exit')) process.exit(3)
while (!existsSync(PACKAGE_DIR + '/listen')) await new Promise((resolve) => setTimeout(resolve, 50))
${SERVER}`,
  'six-only': SERVER.replace('127.0.0.1', '::1'),
  forks: `import { spawn } from 'node:child_process'
spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
${SERVER}`,
}

const WAIT = `import { existsSync } from 'node:fs'
console.log('preinstall is waiting')
const end = Date.now() + 60_000
setInterval(() => {
  if (existsSync(process.argv[2])) process.exit(0)
  if (Date.now() > end) process.exit(1)
}, 50)
`
