/** Converts a database URL to the options of the client libraries, with the meaning of psql (libpq). */
import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { changedUrl } from './url.ts'

export interface ClientConfig {
  /** URL without the parameters of TLS, because each library would understand them differently. */
  connectionString: string
  ssl: ConnectionOptions | false
}

const TLS_PARAMETERS = ['sslmode', 'ssl', 'sslrootcert', 'sslcert', 'sslkey']
/** Parameters that choose between servers. The agent needs a server that accepts writes in any case. */
const SERVER_PARAMETERS = ['target_session_attrs', 'load_balance_hosts']

export function clientConfig(url: string): ClientConfig {
  let ssl: ClientConfig['ssl'] = false
  const connectionString = changedUrl(url, (params) => {
    ssl = tlsOptions(params)
    for (const name of [...TLS_PARAMETERS, ...SERVER_PARAMETERS]) params.delete(name)
  })
  return { connectionString, ssl: isSocket(connectionString) ? false : ssl }
}

/** Returns true for the URL of a Unix socket, which libpq never encrypts. */
function isSocket(url: string): boolean {
  const { hostname, searchParams } = new URL(url)
  return decodeURIComponent(searchParams.get('host') ?? hostname).startsWith('/')
}

/**
 * Returns the URL with parameters of TLS that it lacks, for example from variables of psql. As in libpq,
 * `ssl` stands for `sslmode`.
 */
export function withTlsParameters(url: string, given: Record<string, string | undefined>): string {
  const { searchParams } = new URL(url)
  const lacks = (name: string) => !searchParams.has(name) && !(name === 'sslmode' && searchParams.has('ssl'))
  const added = Object.entries(given).filter(([name, value]) => value && lacks(name))
  if (added.length === 0) return url
  return changedUrl(url, (params) => {
    for (const [name, value] of added) params.set(name, value ?? '')
  })
}

/**
 * Returns the options of TLS. As in libpq, `require` encrypts without a check of the certificate, unless
 * there is a root certificate. `prefer`, the default of libpq, is not encrypted: a server that insists on
 * encryption refuses the connection, and the error names the parameter to add.
 */
function tlsOptions(params: URLSearchParams): ClientConfig['ssl'] {
  const root = params.get('sslrootcert')
  const weakest = root === 'system' ? 'verify-full' : 'prefer'
  const mode = params.get('sslmode') ?? (/^(true|1)$/.test(params.get('ssl') ?? '') ? 'require' : weakest)
  if (['disable', 'allow', 'prefer'].includes(mode)) return false
  const files = {
    // The value `system` means the certificates that the operating system trusts, as Node does by default.
    ...(root && root !== 'system' && { ca: readFileSync(root, 'utf8') }),
    ...(params.get('sslcert') && { cert: readFileSync(`${params.get('sslcert')}`, 'utf8') }),
    ...(params.get('sslkey') && { key: readFileSync(`${params.get('sslkey')}`, 'utf8') }),
  }
  if (mode === 'verify-full' || root === 'system') return files
  const checksChain = mode === 'verify-ca' || (mode === 'require' && root)
  return checksChain
    ? { ...files, checkServerIdentity: () => undefined }
    : { ...files, rejectUnauthorized: false }
}

/** Matches a comma after the login and the password, which may contain commas themselves. */
const SEVERAL_HOSTS = /^postgres(ql)?:\/\/([^/?#]*@)?[^/?#@]*,[^/?#@]*([/?#]|$)/
const MODES = ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full']

/** Returns why a mode of TLS can't be used, as the end of a sentence, or null. */
export const modeProblem = (mode: string | null): string | null =>
  mode !== null && !MODES.includes(mode) ? `that does not exist: use ${MODES.join(', ')}` : null

/** Returns why the agent can't use this database URL although psql can, as the end of a sentence, or null. */
export function urlProblem(url: string): string | null {
  if (SEVERAL_HOSTS.test(url) || /[?&]host(addr)?=[^&]*(,|%2C)/i.test(url))
    return 'names several hosts, but the agent uses one: name the primary server, or an address that follows it'
  let params: URLSearchParams
  try {
    params = new URL(url).searchParams
  } catch {
    return 'must be like postgres://login:password@host:5432/database, with special characters as %XX'
  }
  const problem = modeProblem(params.get('sslmode'))
  if (problem) return `has an sslmode ${problem}`
  if (/^(read-only|standby|prefer-standby)$/.test(params.get('target_session_attrs') ?? ''))
    return 'asks for a read-only server (target_session_attrs), but the agent writes: use the primary server'
  return null
}
