/**
 * Writes, activates and deletes generations of the local host. A generation (a complete configuration that
 * can be activated again) is a numbered folder with a manifest, which lists the apps and their commands. The
 * symbolic link `current` points to the active generation.
 */
import { mkdir, readdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { makeDirectory, syncDirectory, toJson, writeAtomic } from '../../system/atomicfile.ts'
import type { WantedApp } from '../contract.ts'
import { appEnvironment } from './environment.ts'
import { appDataDir, type Paths } from './paths.ts'
import type { Program } from './program.ts'
import { digestOf, type Manifest, manifestSchema, readStateFile, type UnitSpec } from './statefiles.ts'
import { findProgram, TEMP_PREFIX } from './store.ts'
import { stateOfEntry } from './storeentry.ts'

/** Number of older generations that are kept for a rollback. */
const KEPT_GENERATIONS = 5
const KEPT_RUNS = 50

/**
 * Returns the command, environment and initial files of an app, with the placeholders {port} and {dataDir}
 * replaced.
 */
export async function unitOf(
  app: WantedApp,
  store: string,
  dataDir: string,
  nodePath: string,
): Promise<UnitSpec> {
  const npm = app.catalog.npm
  if (!npm) throw new Error(`${app.name} has no npm form`) // evaluate() refused such an app before
  const home = appDataDir(dataDir, app.name)
  const fill = (text: string) => text.replaceAll('{port}', String(app.port)).replaceAll('{dataDir}', home)
  const fillAll = (map: Record<string, string>) =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [key, fill(value)]))
  const program = await findProgram(store, npm)
  return {
    port: app.port,
    store,
    command: [...nodeCommand(program, nodePath), program.file, ...npm.args.map(fill)],
    environment: {
      ...appEnvironment({ port: app.port, dataDir: home, nodePath }),
      ...program.environment,
      ...fillAll(npm.environment),
    },
    files: fillAll(npm.files),
  }
}

const nodeCommand = ({ nodeOptions }: Program, nodePath: string): string[] =>
  nodeOptions === null ? [] : [nodePath, ...nodeOptions]

export const sameApps = (a: Manifest['apps'], b: Manifest['apps']): boolean =>
  digestOf(sorted(a)) === digestOf(sorted(b))

const sorted = <T>(map: Record<string, T>): [string, T][] =>
  Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1))

/** Writes the next generation without activating it. Returns the number of the new generation. */
export async function writeGeneration(paths: Paths, apps: Manifest['apps']): Promise<number> {
  await makeDirectory(paths.generations)
  const generation = Math.max(0, ...(await generationNumbers(paths))) + 1
  const temp = join(paths.generations, `${TEMP_PREFIX}${generation}`)
  await mkdir(temp)
  const manifest: Manifest = { generation, apps: Object.fromEntries(sorted(apps)) }
  await writeAtomic(join(temp, 'manifest.json'), toJson(manifest))
  await rename(temp, join(paths.generations, String(generation)))
  await syncDirectory(paths.generations)
  return generation
}

/**
 * Activates a generation by replacing the symbolic link `current` atomically. The supervisor (process that
 * runs the apps) detects the new link, and then stops and starts apps.
 */
export async function switchLink(paths: Paths, generation: number): Promise<void> {
  const temp = `${paths.current}.tmp`
  await rm(temp, { force: true })
  await symlink(join('generations', String(generation)), temp)
  await rename(temp, paths.current)
  await syncDirectory(paths.state)
}

export async function readGeneration(paths: Paths, generation: string): Promise<Manifest | null> {
  if (!/^\d+$/.test(generation)) return null
  return readStateFile(join(paths.generations, generation, 'manifest.json'), manifestSchema)
}

export async function whyNoRollback(paths: Paths, generation: string): Promise<string | null> {
  const manifest = await readGeneration(paths, generation)
  if (!manifest) return `generation ${generation} does not exist any more`
  for (const [name, { store }] of Object.entries(manifest.apps)) {
    const state = await stateOfEntry(store)
    if (state === 'absent') return `${name} of generation ${generation} is not in the store any more`
    if (state === 'damaged') return `${name} of generation ${generation} is damaged in the store`
  }
  return null
}

async function generationNumbers(paths: Paths): Promise<number[]> {
  const names = await readdir(paths.generations).catch(() => [])
  return names.filter((name) => /^\d+$/.test(name)).map(Number)
}

/**
 * Deletes unfinished folders that killed executions of switch.ts left. With `id`, deletes only the folders of
 * the execution with this id, because other executions may still run.
 */
export async function removeTemps(dir: string, id?: string): Promise<void> {
  const names = await readdir(dir).catch(() => [])
  const temps = names.filter((name) => name.startsWith(id ? `${TEMP_PREFIX}${id}-` : TEMP_PREFIX))
  await Promise.all(temps.map((name) => rm(join(dir, name), { recursive: true, force: true })))
}

/** Deletes old generations, old logs of switch.ts, and packages that no remaining generation uses. */
export async function collectGarbage(paths: Paths, current: number): Promise<void> {
  const all = (await generationNumbers(paths)).filter((number) => number !== current).sort((a, b) => b - a)
  const kept = [current, ...all.slice(0, KEPT_GENERATIONS)]
  for (const old of all.slice(KEPT_GENERATIONS))
    await rm(join(paths.generations, String(old)), { recursive: true })

  await removeOldRuns(paths.runs)
  const used = new Set<string>()
  for (const number of kept) {
    const manifest = await readGeneration(paths, String(number)).catch((error: Error) => {
      if (number === current) throw error
      return null
    })
    for (const unit of Object.values(manifest?.apps ?? {})) used.add(basename(unit.store))
    // A generation that can't be read can't be activated again.
    if (!manifest) await rm(join(paths.generations, String(number)), { recursive: true, force: true })
  }
  await removeEntries(paths, used)
}

/**
 * Deletes the packages that are not used. They are renamed first, because a deletion that is interrupted
 * would leave a part of a package under the name of the whole package.
 */
async function removeEntries(paths: Paths, used: ReadonlySet<string>): Promise<void> {
  const entries = await readdir(paths.store).catch(() => [])
  const unused = entries.filter((entry) => !used.has(entry) && !entry.startsWith(TEMP_PREFIX))
  if (unused.length === 0) return
  for (const entry of unused)
    await rename(join(paths.store, entry), join(paths.store, `${TEMP_PREFIX}${entry}`))
  await syncDirectory(paths.store)
  await removeTemps(paths.store)
}

async function removeOldRuns(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => [])
  const runs = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(dir, name))).mtimeMs })),
  )
  const old = runs.sort((a, b) => b.at - a.at).slice(KEPT_RUNS)
  for (const { name } of old) await rm(join(dir, name), { recursive: true, force: true })
}
