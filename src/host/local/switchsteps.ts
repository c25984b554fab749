/**
 * Steps of switch.ts: install the apps, write a generation (complete configuration of the local host), and
 * activate the generation.
 */
import { basename, join } from 'node:path'
import { own } from '../../domain/record.ts'
import { toJson, writeAtomic } from '../../system/atomicfile.ts'
import { killGroup, readMark } from '../../system/processgroup.ts'
import type { RunFailure, WantedApp } from '../contract.ts'
import { type Activation, awaitApplied, awaitApps } from './activation.ts'
import { evaluate } from './evaluation.ts'
import {
  collectGarbage,
  readGeneration,
  removeTemps,
  sameApps,
  switchLink,
  unitOf,
  whyNoRollback,
  writeGeneration,
} from './generation.ts'
import { InstallError } from './installerror.ts'
import { ensureHeaders } from './nodeheaders.ts'
import { EXIT_NOTHING_SWITCHED, EXIT_UNITS_FAILED, npmMarks, type Paths, type RunPaths } from './paths.ts'
import {
  configSchema,
  currentManifest,
  digestOf,
  type Manifest,
  readStateFile,
  supervisorState,
  wantedSchema,
} from './statefiles.ts'
import { findInStore, installIntoStore, type StoreOptions, specOf } from './store.ts'

type Failures = Record<string, RunFailure>

export interface SwitchContext {
  paths: Paths
  run: RunPaths
  configDir: string
  /** Older generation to activate. If null, a new generation is built. */
  backTo: string | null
  dataDir: string
  store: StoreOptions
  /** Marks the start of the activation. After this call, switch.ts ignores SIGTERM. */
  enterActivation(): Promise<void>
}

const print = (line: string) => console.log(line)

/** Performs all steps and returns the exit code of switch.ts. */
export async function runSwitch(context: SwitchContext): Promise<number> {
  const { paths } = context
  const [before] = await Promise.all([previousManifest(paths), removeLeftovers(paths)])
  if (context.backTo !== null) return rollBack(context, context.backTo, before)
  const { wanted, unreadable } = await readConfiguration(context)
  const refused = { ...unreadable, ...evaluate(wanted, Object.keys(before?.apps ?? {})) }
  const installing = new Set(wanted.filter((app) => app.installing).map((app) => app.name))
  const kept = (name: string) => (installing.has(name) ? null : (own(before?.apps ?? {}, name) ?? null))
  if (Object.keys(refused).some((name) => !kept(name))) return refuse(context, refused)
  const { apps, failures } = await installAll(context, wanted, refused)
  if (Object.keys(failures).some((name) => !kept(name))) return refuse(context, failures)
  // An app that was installed before and can't be installed any more stays as it is.
  for (const [name, { message }] of Object.entries(failures)) {
    print(`warning: ${name} stays as it is: ${message}`)
    apps[name] = kept(name) as Manifest['apps'][string]
  }

  context.store.signal.throwIfAborted()
  const same = before && sameApps(before.apps, apps)
  if (same) print(`generation ${before.generation} has all of this already`)
  const generation = same ? before.generation : await buildGeneration(paths, apps)
  const checks = Object.fromEntries(wanted.map(({ name, catalog }) => [name, catalog.healthCheck]))
  return activate(context, { generation, apps, before, failures, checks })
}

/** Ends the npm of an earlier switch that was killed, and deletes its unfinished files. */
async function removeLeftovers(paths: Paths): Promise<void> {
  await killGroup({ marks: [npmMarks(await readMark(paths.mark))] })
  await Promise.all([removeTemps(paths.store), removeTemps(paths.generations)])
}

async function rollBack(
  context: SwitchContext,
  generation: string,
  before: Manifest | null,
): Promise<number> {
  const reason = await whyNoRollback(context.paths, generation)
  if (reason !== null) throw new Error(reason)
  const older = (await readGeneration(context.paths, generation)) as Manifest
  print(`going back to generation ${generation}`)
  return activate(context, {
    generation: older.generation,
    apps: older.apps,
    before,
    failures: {},
    checks: {},
  })
}

/** Returns the active generation. A damaged one counts as none, so that the next generation replaces it. */
async function previousManifest(paths: Paths): Promise<Manifest | null> {
  return currentManifest(paths).catch((error: Error) => {
    print(`warning: ${error.message}`)
    return null
  })
}

async function readConfiguration({ configDir }: SwitchContext) {
  print('evaluating configuration')
  const file = join(configDir, 'apps.json')
  const config = await readStateFile(file, configSchema)
  if (!config) throw new Error(`${file} does not exist`)
  const wanted: WantedApp[] = []
  const unreadable: Failures = {}
  for (const app of config.apps) {
    const { data, error } = wantedSchema.safeParse(app)
    if (data) wanted.push(data)
    else
      unreadable[app.name] = { class: 'evaluate', message: `its settings can't be used: ${error}`, log: [] }
  }
  return { wanted, unreadable }
}

/** Continues after the failure of one app, so that all failed apps are reported together. */
async function installAll(context: SwitchContext, wanted: WantedApp[], refused: Failures) {
  const apps: Manifest['apps'] = {}
  const failures = { ...refused }
  for (const app of wanted.filter(({ name }) => !Object.hasOwn(refused, name))) {
    try {
      const dir = await installOne(context, app)
      apps[app.name] = await unitOf(app, dir, context.dataDir, process.execPath)
    } catch (error) {
      context.store.signal.throwIfAborted()
      failures[app.name] = buildFailure(app, error as Error)
    }
  }
  return { apps, failures }
}

function buildFailure({ catalog }: WantedApp, error: Error): RunFailure {
  if (error instanceof InstallError) return { class: 'build', message: error.message, log: error.log }
  return { class: 'build', message: `${catalog.displayName} can't be installed: ${error.message}`, log: [] }
}

async function installOne({ paths, store }: SwitchContext, app: WantedApp): Promise<string> {
  const npm = app.catalog.npm
  if (!npm) throw new Error(`${app.name} has no npm form`) // evaluate() refused such an app before
  const { dir, state } = await findInStore(store.store, app.catalog, npm)
  if (state === 'whole') {
    print(`${specOf(npm)} is in the store`)
    return dir
  }
  if (state !== 'absent') print(`${specOf(npm)} is damaged in the store: installing it anew`)
  print(`installing ${specOf(npm)}`)
  const start = performance.now()
  try {
    const nodeDir = npm.installScripts.length > 0 ? await ensureHeaders(paths, store) : null
    await installIntoStore(dir, app.catalog, npm, { ...store, ...(nodeDir && { nodeDir }) })
  } catch (error) {
    if (state !== 'doubtful') throw error
    store.signal.throwIfAborted()
    print(`warning: ${specOf(npm)} may be damaged, and can't be installed anew: ${(error as Error).message}`)
    return dir
  }
  print(`installed ${specOf(npm)} in ${((performance.now() - start) / 1000).toFixed(1)} s`)
  return dir
}

async function buildGeneration(paths: Paths, apps: Manifest['apps']): Promise<number> {
  const generation = await writeGeneration(paths, apps)
  print(`building generation ${generation}`)
  return generation
}

async function refuse({ run }: SwitchContext, failures: Failures): Promise<number> {
  await writeAtomic(run.result, toJson({ failures }))
  for (const [name, { message }] of Object.entries(failures)) print(`error: ${name}: ${message}`)
  print('nothing was switched')
  return EXIT_NOTHING_SWITCHED
}

interface Target {
  generation: number
  apps: Manifest['apps']
  before: Manifest | null
  /** Failures of apps that stay as they are. */
  failures: Failures
  checks: Activation['checks']
}

async function activate(context: SwitchContext, target: Target): Promise<number> {
  const { generation, apps, before, checks } = target
  const { paths, run, dataDir } = context
  const changed = await appsToStart(paths, apps, before)
  await context.enterActivation()
  print(`activating generation ${generation}`)
  if (generation !== before?.generation) await switchLink(paths, generation)
  const id = `${basename(run.dir)} ${new Date().toISOString()}`
  await writeAtomic(paths.activation, toJson({ id, generation }))
  if (!(await awaitApplied(paths, id))) {
    print('error: the supervisor did not take the generation over in time')
    return EXIT_UNITS_FAILED
  }
  const [notStarted] = await Promise.all([
    awaitApps(paths, dataDir, { apps, changed, checks }),
    collectGarbage(paths, generation).catch((error: Error) => print(`warning: ${error.message}`)),
  ])
  const failures = { ...notStarted, ...target.failures }
  if (Object.keys(failures).length === 0) return 0
  await writeAtomic(run.result, toJson({ failures }))
  for (const [name, { message }] of Object.entries(failures)) print(`warning: ${name} ${message}`)
  return EXIT_UNITS_FAILED
}

/** Returns the names of the apps that the activation starts: changed apps and apps that do not run. */
async function appsToStart(paths: Paths, apps: Manifest['apps'], before: Manifest | null): Promise<string[]> {
  const state = await supervisorState(paths).catch(() => null)
  return Object.keys(apps).filter((name) => {
    const former = own(before?.apps ?? {}, name) ?? null
    const changed = digestOf(apps[name]) !== digestOf(former)
    return changed || own(state?.apps ?? {}, name)?.state !== 'running'
  })
}
