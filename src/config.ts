import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { urlAsRole } from './db/url.ts'

/** The clone's top folder. */
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

/** Comma list of addresses; `{app}` and `{port}` may stand in them. */
const baseUrls = z
  .string()
  .default('')
  .transform((text) => text.split(',').map((url) => url.trim()))
  .transform((urls) => urls.filter(Boolean))
  .refine((urls) => urls.every(isAddress), 'must be http:// or https:// addresses, separated by commas')

const isAddress = (url: string): boolean => /^https?:\/\/[^\s/]+(\/\S*)?$/.test(url)

const whole = (least: number, most: number) => {
  const message = `must be a whole number from ${least} to ${most}`
  const digits = z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
  return digits.refine((given) => given >= least && given <= most, message)
}

/** `app=unit`, with commas. */
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
  .optional()

const environment = z.object({
  DATABASE_URL: databaseUrl,
  DATABASE_URL_FILE: absolutePath,
  BLOUD_DATABASE_ROLE: z
    .string()
    .regex(/^[a-z_][a-z0-9_]*$/, 'must be the name of a role')
    .optional(),
  BLOUD_DATA_DIR: path(resolve(ROOT, 'data')),
  BLOUD_PORT: whole(1, 65_535).default('3000'),
  BLOUD_LISTEN: z.string().min(1).default('127.0.0.1'),
  BLOUD_HOST_KIND: z.enum(['nixos', 'local']).optional(),
  BLOUD_CATALOG_DIR: path(resolve(ROOT, 'nix/catalog')),
  BLOUD_ALLOWED_HOSTS: hostNames,
  BLOUD_BUILD_TIMEOUT: whole(1, 86_400).default('1800'),
  BLOUD_RETENTION_DAYS: whole(1, 36_500).default('90'),
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
})

/** The names of all settings. */
export const SETTINGS = Object.keys(environment.shape)

/** What the agent was told by its environment. */
export interface Config {
  /** Unset: an embedded PostgreSQL under the data directory. */
  databaseUrl: string | undefined
  /** Absolute path of the folder that holds everything the agent keeps. */
  dataDir: string
  /** TCP port of the page and the API. */
  port: number
  /** Address to listen on. */
  listen: string
  hostKind: 'nixos' | 'local'
  catalogDir: string
  /** Further names, lower case, under which a browser may address this machine. */
  allowedHosts: string[]
  /** Seconds one switch may take before it is stopped; 1800 by default, as a first NixOS build downloads a lot. */
  buildTimeoutSeconds: number
  /** Days that history and logs are kept; the last operations of each app are kept for ever. */
  retentionDays: number
  /** Is there a systemd that wants to hear from us, and after how many silent milliseconds does it step in? */
  supervision: { enabled: boolean; watchdogMs: number | undefined }
  /** What only the NixOS host needs. */
  nixos: NixosSettings
  logLevel: string
}

export interface NixosSettings {
  /** The link to the system that is on after the next start. */
  profile: string
  /** The link to the system that runs. */
  currentSystem: string
  /** One executable that is started for a rebuild, instead of asking systemd's unit; for machines without it. */
  rebuild: string | undefined
  /** Apps that the machine brings along instead of a container, and the systemd unit of each. */
  provided: Record<string, string>
  /** Where apps are reached from outside, for single sign-on; `{app}` and `{port}` stand for the app's. */
  baseUrls: string[]
  /** Where authentik is reached from outside; by default like any app. */
  ssoUrl: string | undefined
  /** What secrets of apps are derived from; by default a file in the data directory, made on first use. */
  hostSecretFile: string | undefined
}

/** A setting that cannot be used; the message names each and what it must be. */
export class ConfigError extends Error {
  readonly code = 'invalid_setting'
}

/**
 * Reads the settings. An empty variable counts as unset.
 * @throws ConfigError naming every setting that cannot be used.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = environment.safeParse(given)
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
    throw new ConfigError(`These settings can't be used:\n${lines.join('\n')}`)
  }
  const set = parsed.data
  return {
    databaseUrl: readDatabaseUrl(set),
    dataDir: set.BLOUD_DATA_DIR,
    port: set.BLOUD_PORT,
    listen: set.BLOUD_LISTEN,
    hostKind: set.BLOUD_HOST_KIND ?? (existsSync('/etc/NIXOS') ? 'nixos' : 'local'),
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

type Environment = z.infer<typeof environment>

/** From a file where there is a password in it: the environment of a process can be read by more than its owner. */
function readDatabaseUrl({ DATABASE_URL, DATABASE_URL_FILE, BLOUD_DATABASE_ROLE }: Environment) {
  const url = DATABASE_URL ?? (DATABASE_URL_FILE && readUrlFile(DATABASE_URL_FILE))
  return url && BLOUD_DATABASE_ROLE ? urlAsRole(url, BLOUD_DATABASE_ROLE) : url
}

function readUrlFile(path: string): string {
  try {
    const parsed = databaseUrl.unwrap().safeParse(readFileSync(path, 'utf8').trim())
    if (parsed.success) return parsed.data
    throw new Error(`its content ${parsed.error.issues[0]?.message}`)
  } catch (error) {
    throw new ConfigError(
      `These settings can't be used:\n  DATABASE_URL_FILE: ${path}: ${(error as Error).message}`,
    )
  }
}

/** Our own environment with some variables replaced, for a process that we start. */
export const environmentWith = (changes: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  ...changes,
})
