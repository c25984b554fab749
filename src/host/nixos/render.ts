/**
 * From wanted apps to the data that nix/apps.nix turns into containers. A pure function: the same apps give the same
 * bytes. Text of users and catalogs stays data all the way; none of it is ever Nix code.
 */
import { join } from 'node:path'
import type { CatalogApp } from '../../domain/catalog.ts'
import type { WantedApp } from '../contract.ts'
import type { NixosPaths } from './paths.ts'
import type { Derive } from './secret.ts'
import { IDENTITY_APP, type Sso } from './sso.ts'
import { readVolumes } from './volume.ts'

/** How a container reaches what listens on the machine itself: podman's own name for it. */
const HOST_FROM_CONTAINER = 'host.containers.internal'
const POSTGRES_PORT = 5432
/** The integration whose app is a PostgreSQL database: then the app gets a database and a role of its own. */
const DATABASE_SLOT = 'database'
const DATABASE_APP = 'postgres'
/** Where authentik looks for blueprints, in its container. */
const BLUEPRINTS_IN_CONTAINER = '/blueprints/bloud'

/** nix/apps.nix takes nothing else, as these become arguments of podman. */
const IMAGE = /^[A-Za-z0-9][\w.:/@-]{0,254}$/
const MEMORY = /^[0-9]+[bkmgBKMG]?$/
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/
const WORD = /^[a-z][a-z0-9-]{0,30}$/
const CPUS = /^[0-9]+(\.[0-9]+)?$/

export interface SecretFile {
  path: string
  value(derive: Derive): string
}

export interface ConfiguredApp {
  entry: Record<string, unknown>
  secrets: SecretFile[]
}

/** Why nix/apps.nix could do nothing with it, as the end of a sentence; null if it can. */
export function unsupportedReason(app: CatalogApp): string | null {
  if (app.image === undefined) return 'its catalog file names no container image'
  if (!holdsOnlyText(app))
    return 'its catalog file holds characters that Nix cannot read (NUL, or half a character)'
  if (!IMAGE.test(app.image)) return `its container image "${app.image}" is no name of an image`
  try {
    readVolumes(app)
    return whyBadLimits(app) ?? whyBadWords(app)
  } catch (error) {
    return (error as Error).message
  }
}

function whyBadLimits({ resources = {} }: CatalogApp): string | null {
  const { memory, cpus } = resources
  if (memory !== undefined && !MEMORY.test(String(memory)))
    return 'its resources.memory must be like 512M or 2G'
  return cpus !== undefined && !CPUS.test(String(cpus)) ? 'its resources.cpus must be a number' : null
}

function whyBadWords(app: CatalogApp): string | null {
  const bad = Object.entries(words(app)).find(([, list]) => !list.every((word) => WORD.test(word)))
  return bad ? `its bootstrap.${bad[0]} must be plain words, like [server]` : null
}

/** Nix cuts a string off at NUL and can't read a surrogate alone. */
function holdsOnlyText(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, inner]) => holdsOnlyText(key) && holdsOnlyText(inner))
}

/** One app of apps.json, and the secrets it is given. `sso` only if there is something to sign in with. */
export function configureApp(
  app: WantedApp,
  wanted: ReadonlySet<string>,
  paths: NixosPaths,
  sso: Sso | undefined,
): ConfiguredApp {
  const { name, port, catalog } = app
  const problem = unsupportedReason(catalog)
  if (problem !== null) throw new Error(`${catalog.displayName} can't be configured: ${problem}`)
  const database = configureDatabase(app, paths)
  const own = ownSecrets(app, paths)
  const entry = {
    name,
    displayName: catalog.displayName,
    image: catalog.image,
    port,
    containerPort: catalog.containerPort ?? port,
    volumes: readVolumes(catalog).map(({ readOnly, ...volume }) =>
      readOnly ? { ...volume, readOnly } : volume,
    ),
    environment: { ...catalog.environment, ...database?.environment, ...sso?.environment },
    secretFiles: { ...own.secretFiles, ...database?.secretFiles, ...signInSecret(sso, paths) },
    dependsOn: dependencies(app).filter((other) => wanted.has(other)),
    database: database?.database ?? null,
    healthCheck: catalog.healthCheck,
    resources: catalog.resources ?? null,
    ...words(catalog),
    ...(name === IDENTITY_APP && { mounts: identityMounts(paths) }),
  }
  return { entry, secrets: [...own.secrets, ...(database?.secrets ?? [])] }
}

/** authentik reads the blueprints, and the client secrets they name by the paths they have here. */
const identityMounts = (paths: NixosPaths) => [
  { host: paths.blueprints, container: BLUEPRINTS_IN_CONTAINER, readOnly: true },
  { host: paths.clients, container: paths.clients, readOnly: true },
]

const chosen = (choice: unknown): string[] =>
  (Array.isArray(choice) ? choice : [choice]).filter((one) => typeof one === 'string')

const dependencies = ({ name, integrationConfig }: WantedApp): string[] =>
  [...new Set(Object.values(integrationConfig).flatMap(chosen))].filter((other) => other !== name).sort()

export const clientSecretFile = (paths: NixosPaths, app: string): string => join(paths.clients, app)

const signInSecret = (sso: Sso | undefined, paths: NixosPaths): Record<string, string> =>
  sso?.secretVariable === undefined ? {} : { [sso.secretVariable]: clientSecretFile(paths, sso.app) }

/** `bootstrap.command` and `bootstrap.worker`: what the image runs, and what a second container of it does. */
function words({ bootstrap }: CatalogApp): Record<string, string[]> {
  const { command, worker } = (bootstrap ?? {}) as Record<string, unknown>
  const given = Object.entries({ command, worker }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([key, value]) => [key, chosen(value)]))
}

/** `bootstrap.secrets`: environment variables that the app wants to hold something nobody can guess. */
function ownSecrets({ name, catalog }: WantedApp, paths: NixosPaths) {
  const { secrets = [] } = (catalog.bootstrap ?? {}) as { secrets?: unknown }
  const variables = chosen(secrets).filter((variable) => VARIABLE.test(variable))
  const file = (variable: string) => join(paths.secrets, name, variable)
  return {
    secretFiles: Object.fromEntries(variables.map((variable) => [variable, file(variable)])),
    secrets: variables.map((variable): SecretFile => {
      return { path: file(variable), value: (derive) => derive(name, `variable/${variable}`) }
    }),
  }
}

/** The keys of `bootstrap.database`: under which names the app wants to be told. */
type DatabaseKey = 'host' | 'port' | 'name' | 'user' | 'password' | 'url'

/** A database and a role that only this app has, both called like it. */
function configureDatabase(app: WantedApp, paths: NixosPaths) {
  if (!chosen(app.integrationConfig[DATABASE_SLOT]).includes(DATABASE_APP)) return undefined
  const role = app.name.replaceAll('-', '_')
  const dir = join(paths.secrets, app.name)
  const password = (derive: Derive) => derive(app.name, 'database-password')
  const passwordFile = join(dir, 'DATABASE_PASSWORD')
  const urlFile = join(dir, 'DATABASE_URL')
  const url = (derive: Derive) =>
    `postgres://${role}:${password(derive)}@${HOST_FROM_CONTAINER}:${POSTGRES_PORT}/${role}?sslmode=disable`
  const variables = databaseVariables(app.catalog)
  const plain = { host: HOST_FROM_CONTAINER, port: String(POSTGRES_PORT), name: role, user: role }
  return {
    database: { name: role, role, passwordFile },
    environment: pick(variables, plain),
    secretFiles: pick(variables, { password: passwordFile, url: urlFile }),
    secrets: [
      { path: passwordFile, value: password },
      ...(variables.url === undefined ? [] : [{ path: urlFile, value: url }]),
    ] satisfies SecretFile[],
  }
}

function databaseVariables({ bootstrap }: CatalogApp): Partial<Record<DatabaseKey, string>> {
  const { database } = (bootstrap ?? {}) as { database?: Record<string, unknown> }
  const texts = Object.entries(database ?? {}).filter(([, variable]) => VARIABLE.test(String(variable)))
  return Object.fromEntries(texts)
}

function pick(
  variables: Partial<Record<string, string>>,
  values: Record<string, string>,
): Record<string, string> {
  const pairs = Object.entries(values).flatMap(([key, value]) => {
    const variable = variables[key]
    return variable === undefined ? [] : [[variable, value]]
  })
  return Object.fromEntries(pairs)
}
