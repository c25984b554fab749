/**
 * Writes the configuration of the NixOS host (apps in containers). Secrets are written before the files that
 * refer to them.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { APP_NAME } from '../../domain/catalog.ts'
import { readIfExists, toJson, writeAtomic } from '../../system/atomicfile.ts'
import { sortKeys } from '../../system/sortkeys.ts'
import type { Configured, WantedApp } from '../contract.ts'
import { appBlueprint, outpostsBlueprint, removalBlueprint } from './blueprint.ts'
import type { NixosPaths } from './paths.ts'
import { configuredApps } from './readback.ts'
import { clientSecretFile, configureApp } from './render.ts'
import { createDerive, type Derive, readHostSecret, writeSecret } from './secret.ts'
import { type Addresses, IDENTITY_APP, readSso, type Sso, ssoName } from './sso.ts'
import { type BlueprintValue, toBlueprint } from './yaml.ts'

const FORMAT_VERSION = 1
const TEMP = /\.[0-9a-f-]{36}\.tmp$/
/**
 * File names of the blueprints that are common to all apps. They begin with an underscore, because no app
 * name does.
 */
const OUTPOSTS_FILE = '_outposts.yaml'
const REMOVED_FILE = '_removed.yaml'

export interface ConfigureOptions {
  paths: NixosPaths
  hostSecretFile: string
  addresses: Addresses
}

interface SignIns {
  /** Single sign-on settings by app name. Apps whose blueprint could not be written are missing. */
  bySso: Map<string, Sso>
  warnings: Record<string, string[]>
}

/**
 * Writes the configuration for exactly these apps. If single sign-on can't be set up for an app, only a
 * warning is returned.
 * @throws if the configuration can't be written.
 */
export async function configure(apps: WantedApp[], options: ConfigureOptions): Promise<Configured> {
  const { paths, addresses } = options
  const sorted = apps.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  for (const { name } of sorted) if (!APP_NAME.test(name)) throw new Error(`"${name}" is not an app name`)
  await makeDirectories(paths)
  await removeTemps(paths)
  const signIns = await writeSignIns(sorted, options)
  const wanted = new Set(sorted.map(({ name }) => name))
  // Without an identity provider, users could not sign in, so apps get no single sign-on settings.
  const canSignIn = wanted.has(IDENTITY_APP) || addresses.ssoUrl !== undefined
  const configured = sorted.map((app) =>
    configureApp(app, wanted, paths, canSignIn ? signIns.bySso.get(app.name) : undefined),
  )
  const secrets = configured.flatMap((app) => app.secrets)
  if (secrets.length > 0) {
    const derive = createDerive(await readHostSecret(options.hostSecretFile))
    for (const { path, value } of secrets) await writeSecret(path, value(derive))
  }
  const document = { version: FORMAT_VERSION, apps: configured.map(({ entry }) => entry) }
  const before = await configuredApps(paths)
  await writeIfChanged(paths.apps, toJson(sortKeys(document)))
  await removeSecrets(paths, new Set([...wanted, ...before]))
  return { warnings: signIns.warnings }
}

async function makeDirectories(paths: NixosPaths): Promise<void> {
  for (const dir of [paths.secrets, paths.clients]) await mkdir(dir, { recursive: true, mode: 0o700 })
  for (const dir of [dirname(paths.apps), paths.blueprints, dirname(paths.request)]) {
    await mkdir(dir, { recursive: true })
  }
}

/** Deletes temporary files that a killed agent left, because they may contain parts of secrets. */
async function removeTemps(paths: NixosPaths): Promise<void> {
  const apps = (await readdir(paths.secrets)).map((app) => join(paths.secrets, app))
  for (const dir of [paths.state, dirname(paths.apps), dirname(paths.request), ...apps]) {
    const temps = (await readdir(dir).catch(() => [])).filter((file) => TEMP.test(file))
    for (const file of temps) await rm(join(dir, file), { force: true })
  }
}

async function writeSignIns(apps: WantedApp[], options: ConfigureOptions): Promise<SignIns> {
  const { paths, addresses, hostSecretFile } = options
  const signIns: SignIns = { bySso: new Map(), warnings: {} }
  for (const app of apps.filter(({ catalog }) => catalog.sso !== undefined)) {
    try {
      const sso = readSso(app, addresses) as Sso
      await writeSignIn(sso, paths, async () => createDerive(await readHostSecret(hostSecretFile)))
      signIns.bySso.set(app.name, sso)
    } catch (error) {
      signIns.warnings[app.name] = [`Single sign-on is not set up: ${(error as Error).message}`]
    }
  }
  await removeSignIns(paths, signIns.bySso)
  return signIns
}

async function writeSignIn(sso: Sso, paths: NixosPaths, makeDerive: () => Promise<Derive>): Promise<void> {
  const secretFile = clientSecretFile(paths, sso.app)
  const text = toBlueprint(appBlueprint(sso, secretFile))
  if (sso.strategy === 'native-oidc') {
    const derive = await makeDerive()
    await writeSecret(secretFile, derive(sso.app, 'oauth2-client-secret'))
  }
  await writeIfChanged(join(paths.blueprints, `${sso.app}.yaml`), text)
}

/**
 * Deletes the blueprints of uninstalled apps. authentik keeps the objects of a deleted blueprint, so another
 * blueprint is written that deletes the objects.
 */
async function removeSignIns(paths: NixosPaths, bySso: Map<string, Sso>): Promise<void> {
  const wanted = new Set(bySso.keys())
  const files = (await readdir(paths.blueprints)).filter((file) => APP_NAME.test(file.replace(/\.yaml$/, '')))
  const known = [...files.map((file) => file.replace(/\.yaml$/, '')), ...(await removedBefore(paths))]
  const removed = [...new Set(known)].filter((app) => !wanted.has(app)).sort()
  await writeShared(paths, REMOVED_FILE, removed.length > 0 ? removalBlueprint(removed) : null)
  await writeShared(paths, OUTPOSTS_FILE, outpostsBlueprint([...bySso.values()]))
  await removeOthers(paths.blueprints, new Set([...wanted, '_outposts', '_removed']), '.yaml')
}

/** Reads the names of apps that were uninstalled earlier. An invalid file counts as empty. */
async function removedBefore(paths: NixosPaths): Promise<string[]> {
  try {
    const text = (await readIfExists(join(paths.blueprints, REMOVED_FILE))) ?? '{}'
    const { entries = [] } = parse(text) as { entries?: { identifiers?: { slug?: unknown } }[] }
    const slugs = entries
      .map(({ identifiers }) => identifiers?.slug)
      .filter((slug) => typeof slug === 'string')
    return slugs.map((slug) => slug.slice(ssoName('').length)).filter((app) => APP_NAME.test(app))
  } catch {
    return []
  }
}

async function writeShared(paths: NixosPaths, file: string, content: BlueprintValue | null): Promise<void> {
  const path = join(paths.blueprints, file)
  if (content === null) await rm(path, { force: true })
  else await writeIfChanged(path, toBlueprint(content))
}

/**
 * Writes a file only if its content changes. A new modification time could trigger programs that watch the
 * file.
 */
async function writeIfChanged(path: string, content: string): Promise<void> {
  if (existsSync(path) && (await readFile(path, 'utf8')) === content) return
  await writeAtomic(path, content)
}

/**
 * Deletes the secrets of apps that are in neither the new nor the previous configuration. Containers of the
 * previous configuration run until the next `nixos-rebuild switch`, and may need their secrets.
 */
async function removeSecrets(paths: NixosPaths, kept: ReadonlySet<string>): Promise<void> {
  await removeOthers(paths.secrets, kept)
  await removeOthers(paths.clients, kept)
}

async function removeOthers(dir: string, kept: ReadonlySet<string>, ending = ''): Promise<void> {
  for (const file of await readdir(dir)) {
    const name = file.endsWith(ending) ? file.slice(0, file.length - ending.length) : null
    if (name === null || !kept.has(name)) await rm(join(dir, file), { recursive: true, force: true })
  }
}
