/**
 * Finds the programs other than npm packages that tests need, and installs missing programs with apt if the
 * tests run as root.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installedBinaries } from '../src/postgres/binaries.ts'
import { hasServer, installedClients } from '../src/postgres/clientprograms.ts'
import { run } from '../src/system/childprocess.ts'

export interface Tools {
  env: Record<(typeof WANTED)[number]['variable'], string>
  missing: string[]
}

const WANTED = [
  { variable: 'BLOUD_TEST_PSQL', names: ['psql'], aptPackage: 'postgresql-client', tests: 'psql tests' },
  {
    variable: 'BLOUD_TEST_CHROMIUM',
    // The headless shell has no windows and needs half of the processor time of the whole browser.
    names: [
      'chromium-headless-shell',
      'chromium',
      'chromium-browser',
      'google-chrome-stable',
      'google-chrome',
    ],
    aptPackage: 'chromium-headless-shell',
    tests: 'browser tests',
  },
  { variable: 'BLOUD_TEST_NIX', names: ['nix-instantiate'], aptPackage: 'nix-bin', tests: 'Nix tests' },
  { variable: 'BLOUD_TEST_NGINX', names: ['nginx'], aptPackage: 'nginx-light', tests: 'nginx tests' },
  {
    variable: 'BLOUD_TEST_PGBOUNCER',
    names: ['pgbouncer'],
    aptPackage: 'pgbouncer',
    tests: 'PgBouncer tests',
  },
  { variable: 'BLOUD_TEST_HAPROXY', names: ['haproxy'], aptPackage: 'haproxy', tests: 'HAProxy tests' },
] as const

/** Debian starts these servers when it installs them, so that only CI installs them. */
const ONLY_IN_CI: readonly string[] = ['nginx-light', 'haproxy', 'pgbouncer']

const APT_LIMIT_MS = 15 * 60_000

/**
 * Debian package with a PostgreSQL server. Backup tests need it if the installed pg_dump is too old for the
 * embedded PostgreSQL.
 */
const SERVER_PACKAGE = 'postgresql'

export async function prepareTools(log: (line: string) => void): Promise<Tools> {
  const absent: string[] = WANTED.filter(({ names }) => !findProgram(names))
    .map(({ aptPackage }) => aptPackage)
    .filter((name) => process.env.CI === 'true' || !ONLY_IN_CI.includes(name))
  if (!(await canDump())) absent.push(SERVER_PACKAGE)
  const problem = absent.length > 0 ? await install(absent, log) : 'only CI installs it'
  const env = Object.fromEntries(WANTED.map(({ variable }) => [variable, ''])) as Tools['env']
  const missing: string[] = []
  for (const { variable, names, tests, aptPackage } of WANTED) {
    env[variable] = findProgram(names) ?? ''
    if (!env[variable]) missing.push(`${tests}: no ${names[0]} (${problem}); package ${aptPackage}`)
  }
  if (!(await canDump())) {
    missing.push(`backup tests: no server that pg_dump can dump (${problem}); package ${SERVER_PACKAGE}`)
  }
  return { env, missing }
}

/** True if pg_dump can dump a server on this machine. pg_dump refuses servers newer than itself. */
async function canDump(): Promise<boolean> {
  const { major } = await installedBinaries()
  const clients = await installedClients(process.env)
  return clients.some((client) => client.major >= major || hasServer(client))
}

function findProgram(names: readonly string[]): string | null {
  for (const name of names) {
    // On Debian the PATH of an ordinary user lacks the folder of servers.
    for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
      const path = join(folder, name)
      if (folder && isExecutable(path)) return path
    }
  }
  return null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function install(packages: string[], log: (line: string) => void): Promise<string> {
  if (process.getuid?.() !== 0) return 'not root, so not installed'
  if (!findProgram(['apt-get'])) return 'no apt-get, so not installed'
  log(`installing ${packages.join(', ')} by apt …`)
  // With this runlevel, invoke-rc.d starts no server of an installed package.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const apt = (...args: string[]) => run('apt-get', ['-qq', '-y', ...args], { env, limitMs: APT_LIMIT_MS })
  await apt('update')
  const { code, output } = await apt('install', '--no-install-recommends', ...packages)
  if (code === 0) return 'installed, but not found'
  log(output)
  return 'apt-get could not install it'
}
