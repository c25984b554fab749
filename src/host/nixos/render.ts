/**
 * Converts apps to JSON data, from which nix/containers.nix declares containers. Text from users and catalog
 * files is never inserted into Nix code.
 */
import { join } from 'node:path'
import type { CatalogApp } from '../../domain/catalog.ts'
import type { WantedApp } from '../contract.ts'
import type { NixosPaths } from './paths.ts'
import type { Derive } from './secret.ts'
import { IDENTITY_APP, type Sso } from './sso.ts'
import { readVolumes } from './volume.ts'

/** Host name by which a program in a container reaches this machine. */
const HOST_FROM_CONTAINER = 'host.containers.internal'
const POSTGRES_PORT = 5432
/**
 * Integration slot for the database server of an app. If PostgreSQL is selected for this slot, the app gets a
 * database and a PostgreSQL role of its own.
 */
const DATABASE_SLOT = 'database'
const DATABASE_APP = 'postgres'
const BLUEPRINTS_IN_CONTAINER = '/blueprints/bloud'

/** Patterns of values that become arguments of podman. The Nix code checks the same patterns again. */
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

/**
 * Returns the reason why the NixOS configuration would refuse the app, as the end of a sentence. Returns null
 * if there is no reason.
 */
export function unsupportedReason(app: CatalogApp): string | null {
  if (app.image === undefined) return 'its catalog file names no container image'
  if (!holdsOnlyText(app))
    return 'its catalog file contains characters that Nix cannot read (NUL, or half a surrogate pair)'
  if (!IMAGE.test(app.image)) return `its container image "${app.image}" is not an image name`
  try {
    readVolumes(app)
    return limitsProblem(app) ?? wordsProblem(app)
  } catch (error) {
    return (error as Error).message
  }
}

function limitsProblem({ resources = {} }: CatalogApp): string | null {
  const { memory, cpus } = resources
  if (memory !== undefined && !MEMORY.test(String(memory)))
    return 'its resources.memory must have the form 512M or 2G'
  return cpus !== undefined && !CPUS.test(String(cpus)) ? 'its resources.cpus must be a number' : null
}

function wordsProblem(app: CatalogApp): string | null {
  const bad = Object.entries(words(app)).find(([, list]) => !list.every((word) => WORD.test(word)))
  return bad ? `its bootstrap.${bad[0]} must be a list of plain words, such as [server]` : null
}

/** True if Nix can read every string of the value. Nix can't read NUL or an unpaired surrogate. */
function holdsOnlyText(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, inner]) => holdsOnlyText(key) && holdsOnlyText(inner))
}

/**
 * Returns the entry of one app in apps.json, and the app's secret files. `sso` is undefined if the app has no
 * single sign-on.
 */
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

/**
 * Returns the directories that the container of authentik mounts. The client secrets have the same path
 * inside the container, because blueprints contain the path.
 */
const identityMounts = (paths: NixosPaths) => [
  { host: paths.blueprints, container: BLUEPRINTS_IN_CONTAINER, readOnly: true },
  { host: paths.clients, container: paths.clients, readOnly: true },
]

const chosen = (choice: unknown): string[] =>
  (Array.isArray(choice) ? choice : [choice]).filter((item) => typeof item === 'string')

const dependencies = ({ name, integrationConfig }: WantedApp): string[] =>
  [...new Set(Object.values(integrationConfig).flatMap(chosen))].filter((other) => other !== name).sort()

export const clientSecretFile = (paths: NixosPaths, app: string): string => join(paths.clients, app)

const signInSecret = (sso: Sso | undefined, paths: NixosPaths): Record<string, string> =>
  sso?.secretVariable === undefined ? {} : { [sso.secretVariable]: clientSecretFile(paths, sso.app) }

/**
 * Returns the commands of the app's container and of its second container (`worker`), as far as the catalog
 * entry contains them.
 */
function words({ bootstrap }: CatalogApp): Record<string, string[]> {
  const { command, worker } = (bootstrap ?? {}) as Record<string, unknown>
  const given = Object.entries({ command, worker }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([key, value]) => [key, chosen(value)]))
}

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

type DatabaseKey = 'host' | 'port' | 'name' | 'user' | 'password' | 'url'

/**
 * Returns the database and PostgreSQL role of an app, both named after the app. Returns undefined if the app
 * does not use PostgreSQL.
 */
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
