import { closeSync, existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import type { Setting } from './config/settingnames.ts'
import { modeProblem, urlProblem, withTlsParameters } from './db/clientconfig.ts'
import { urlAsRole, urlWithPassword } from './db/url.ts'

/** Path of the top folder of the repository. */
export const ROOT = resolve(import.meta.dirname, '..')

const path = (fallback: string) =>
  z
    .string()
    .min(1)
    .default(fallback)
    .transform((text) => resolve(text))

const hostNames = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter(Boolean),
  )

const baseUrls = z
  .string()
  .default('')
  .transform((text) => text.split(',').map((url) => url.trim()))
  .transform((urls) => urls.filter(Boolean))
  .refine((urls) => urls.every(isAddress), 'must be http:// or https:// addresses, separated by commas')

const isAddress = (url: string): boolean => /^https?:\/\/[^\s/]+(\/\S*)?$/.test(url)

const wholeNumber = (least: number, most: number) => {
  const message = `must be a whole number from ${least} to ${most}`
  const digits = z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
  return digits.refine((given) => given >= least && given <= most, message)
}

const provided = z
  .string()
  .default('')
  .transform((text) => text.split(',').filter(Boolean))
  .refine(
    (pairs) => pairs.every((pair) => /^[a-z][a-z0-9-]{0,62}=[\w.@-]{1,200}$/.test(pair)),
    'must be like postgres=postgresql.service, separated by commas',
  )
  .transform((pairs) => Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, string])))

const absolutePath = z.string().startsWith('/', 'must be an absolute path').optional()

const databaseUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
  .superRefine((url, context) => {
    const message = urlProblem(url)
    if (message && /^postgres(ql)?:/.test(url)) context.addIssue({ code: 'custom', message })
  })
  .optional()

const environment = z.object({
  DATABASE_URL: databaseUrl,
  DATABASE_URL_FILE: absolutePath,
  BLOUD_DATABASE_ROLE: z
    .string()
    .regex(/^[a-z_][a-z0-9_]*$/, 'must be the name of a role')
    .optional(),
  BLOUD_DATA_DIR: path(resolve(ROOT, 'data')),
  BLOUD_PORT: wholeNumber(1, 65_535).default('3000'),
  BLOUD_LISTEN: z.string().min(1).default('127.0.0.1'),
  BLOUD_HOST_KIND: z.enum(['nixos', 'local']).optional(),
  BLOUD_CATALOG_DIR: path(resolve(ROOT, 'nix/catalog')),
  BLOUD_ALLOWED_HOSTS: hostNames,
  BLOUD_BUILD_TIMEOUT: wholeNumber(1, 86_400).default('1800'),
  BLOUD_RETENTION_DAYS: wholeNumber(1, 36_500).default('90'),
  BLOUD_NIXOS_PROFILE: path('/nix/var/nix/profiles/system'),
  BLOUD_NIXOS_CURRENT_SYSTEM: path('/run/current-system'),
  BLOUD_NIXOS_REBUILD: absolutePath,
  BLOUD_NIXOS_PROVIDED: provided,
  BLOUD_BASE_URLS: baseUrls,
  BLOUD_SSO_URL: z.string().refine(isAddress, 'must be an http:// or https:// address').optional(),
  BLOUD_HOST_SECRET_FILE: absolutePath,
  BLOUD_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  NOTIFY_SOCKET: z.string().optional(),
  WATCHDOG_USEC: z.coerce.number().int().positive().optional().catch(undefined),
} satisfies Record<Setting, z.ZodTypeAny>)

export interface Config {
  /** URL of an existing PostgreSQL database. If undefined, `npm start` runs a PostgreSQL of its own. */
  databaseUrl: string | undefined
  /** Absolute path of the directory with all data of the agent. */
  dataDir: string
  /** Path of the file with the ids of the data directory and of its database. */
  pairingFile: string
  port: number
  /** IP address on which the web page and the API are served. */
  listen: string
  /** Kind of the host: `nixos` runs apps as services of NixOS, `local` runs apps as child processes. */
  hostKind: 'nixos' | 'local'
  catalogDir: string
  /**
   * Additional host names, in lower case, that the HTTP header `Host` of a request may contain. The machine's
   * own names are always allowed.
   */
  allowedHosts: string[]
  /**
   * Time limit in seconds for one `nixos-rebuild switch`, or without NixOS for one run of switch.ts. The
   * default is 1800, because the first NixOS build on a machine downloads many packages.
   */
  buildTimeoutSeconds: number
  /**
   * Age in days at which events and log lines are deleted. Those of the last ten operations of each app are
   * kept longer.
   */
  retentionDays: number
  /**
   * Supervision of the agent by systemd. `enabled` is true if systemd expects status messages of the agent.
   * `watchdogMs` is the time in ms without a heartbeat after which systemd restarts the agent.
   */
  supervision: { enabled: boolean; watchdogMs: number | undefined }
  nixos: NixosSettings
  logLevel: string
}

export interface NixosSettings {
  /** Path of the symbolic link to the NixOS system that is started at the next boot. */
  profile: string
  /** Path of the symbolic link to the running NixOS system. */
  currentSystem: string
  /**
   * Path of a program that the agent starts to rebuild the machine. If undefined, the agent starts a systemd
   * unit instead.
   */
  rebuild: string | undefined
  /**
   * Systemd units by app name, for apps that NixOS already runs as its own services. The agent then starts no
   * container for these apps.
   */
  provided: Record<string, string>
  /**
   * Public URLs of the apps, for redirects after single sign-on. The placeholders `{app}` and `{port}` stand
   * for the name and the port of an app.
   */
  baseUrls: string[]
  /** Public URL of authentik, the single sign-on server. If undefined, the URL is made from `baseUrls`. */
  ssoUrl: string | undefined
  /**
   * Path of the file with the secret from which passwords of apps are derived. If undefined, the agent
   * creates the file in the data directory.
   */
  hostSecretFile: string | undefined
}

/** Error that names all invalid settings and their required form. */
export class ConfigError extends Error {
  readonly code = 'invalid_setting'
}

/**
 * Reads the settings from the environment. An empty variable counts as unset.
 * @throws ConfigError if settings are invalid.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = environment.safeParse(given)
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
    throw new ConfigError(`These settings can't be used:\n${lines.join('\n')}`)
  }
  const set = parsed.data
  const hostKind = set.BLOUD_HOST_KIND ?? (existsSync('/etc/NIXOS') ? 'nixos' : 'local')
  // On NixOS the agent may write only below its state directory, <data>/nixos.
  const ownDir = hostKind === 'nixos' ? join(set.BLOUD_DATA_DIR, 'nixos') : set.BLOUD_DATA_DIR
  return {
    databaseUrl: readDatabaseUrl(set, env),
    dataDir: set.BLOUD_DATA_DIR,
    pairingFile: join(ownDir, 'pairing.json'),
    port: set.BLOUD_PORT,
    listen: set.BLOUD_LISTEN,
    hostKind,
    catalogDir: set.BLOUD_CATALOG_DIR,
    allowedHosts: set.BLOUD_ALLOWED_HOSTS,
    buildTimeoutSeconds: set.BLOUD_BUILD_TIMEOUT,
    nixos: {
      profile: set.BLOUD_NIXOS_PROFILE,
      currentSystem: set.BLOUD_NIXOS_CURRENT_SYSTEM,
      rebuild: set.BLOUD_NIXOS_REBUILD,
      provided: set.BLOUD_NIXOS_PROVIDED,
      baseUrls: set.BLOUD_BASE_URLS,
      ssoUrl: set.BLOUD_SSO_URL,
      hostSecretFile: set.BLOUD_HOST_SECRET_FILE,
    },
    retentionDays: set.BLOUD_RETENTION_DAYS,
    supervision: {
      enabled: set.NOTIFY_SOCKET !== undefined,
      watchdogMs: set.WATCHDOG_USEC && set.WATCHDOG_USEC / 1000,
    },
    logLevel: set.BLOUD_LOG_LEVEL,
  }
}

type Settings = z.infer<typeof environment>

/**
 * Returns the URL of the database from the variable DATABASE_URL or from the file DATABASE_URL_FILE. A
 * password is safer in the file, because other users can read the environment of a systemd unit.
 */
function readDatabaseUrl(
  { DATABASE_URL, DATABASE_URL_FILE, BLOUD_DATABASE_ROLE }: Settings,
  env: NodeJS.ProcessEnv,
) {
  const given = DATABASE_URL ?? (DATABASE_URL_FILE && readUrlFile(DATABASE_URL_FILE))
  // The variable PGPASSWORD is not passed to child processes, so the URL must contain the password.
  const complete = given && withTlsParameters(given, tlsVariables(env))
  const url = complete && env.PGPASSWORD ? urlWithPassword(complete, env.PGPASSWORD) : complete
  return url && BLOUD_DATABASE_ROLE ? urlAsRole(url, BLOUD_DATABASE_ROLE) : url
}

/** Returns the parameters of TLS that psql takes from the environment. An empty variable counts as unset. */
function tlsVariables(env: NodeJS.ProcessEnv): Record<string, string | undefined> {
  const { PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY } = env
  const problem = modeProblem(PGSSLMODE || null)
  if (problem) throw new ConfigError(`These settings can't be used:\n  PGSSLMODE: has a mode ${problem}`)
  return { sslmode: PGSSLMODE, sslrootcert: PGSSLROOTCERT, sslcert: PGSSLCERT, sslkey: PGSSLKEY }
}

function readUrlFile(path: string): string {
  try {
    const parsed = databaseUrl.unwrap().safeParse(readUrl(path).trim())
    if (parsed.success) return parsed.data
    throw new Error(`its content ${parsed.error.issues[0]?.message}`)
  } catch (error) {
    throw new ConfigError(
      `These settings can't be used:\n  DATABASE_URL_FILE: ${path}: ${(error as Error).message}`,
    )
  }
}

/** Reads the file, or a descriptor that was passed to this process: /dev/fd/4. */
function readUrl(path: string): string {
  const descriptor = /^\/dev\/fd\/(\d+)$/.exec(path)?.[1]
  if (!descriptor) return readFileSync(path, 'utf8')
  const text = readFileSync(Number(descriptor), 'utf8')
  closeSync(Number(descriptor))
  return text
}
