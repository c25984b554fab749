/**
 * Keeps the apps of the active generation (complete configuration of the local host) running. The supervisor
 * is a separate process, so that the apps continue to run if the agent is killed.
 */
import { existsSync, type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { own } from '../../domain/record.ts'
import { makeDirectory, toJson, writeAtomic } from '../../system/atomicfile.ts'
import { acquireFileLock, type FileLock } from '../../system/filelock.ts'
import { readMark, terminateGroup } from '../../system/processgroup.ts'
import type { Confinement } from './confinement.ts'
import { statePaths } from './paths.ts'
import { activationSchema, currentManifest, digestOf, type Manifest, readStateFile } from './statefiles.ts'
import { createUnit, type Unit } from './unit.ts'

/** Interval in ms at which the supervisor reads the list of apps again, because file events can be lost. */
const ROUND_INTERVAL_MS = 10_000
/**
 * Time in ms to wait for the file lock of the supervisor. A previous supervisor that is stopping still holds
 * the lock.
 */
const LOCK_LIMIT_MS = 5_000
/** Time in ms between SIGTERM and SIGKILL for apps that a killed supervisor left running. */
const LEFTOVER_TERM_LIMIT_MS = 10_000

export interface SupervisorOptions {
  stateDir: string
  /** User and folders of the apps, or null if they run as the user of this process. */
  confinement: Confinement | null
  log: (line: string) => void
}

export interface Supervisor {
  /**
   * Starts the apps.
   * @returns false if another supervisor runs already.
   */
  start(): Promise<boolean>
  stop(): Promise<void>
  /** Resolves when the supervisor has stopped, for example because its directory was deleted. */
  stopped: Promise<void>
}

export function createSupervisor({ stateDir, confinement, log }: SupervisorOptions): Supervisor {
  const paths = statePaths(stateDir)
  const dataDir = dirname(paths.state)
  const units = new Map<string, Unit>()
  const done = Promise.withResolvers<void>()
  /** Names whose change is applied at once. The last two are folders that may be deleted. */
  const watched = [paths.current, paths.activation, paths.supervisor, paths.state].map((path) =>
    basename(path),
  )
  let lock: FileLock | null = null
  let watcher: FSWatcher | undefined
  let timer: NodeJS.Timeout | undefined
  let mark = ''
  let generation: number | null = null
  let activation: string | null = null
  let ready = false
  let starting: Promise<boolean> | undefined
  let stopping: Promise<void> | undefined
  let lastError = ''
  /** Last written content of the state file. The same content is not written again. */
  let written = ''

  const reconcile = createSerial(async () => {
    if (stopping) return
    if (!existsSync(paths.supervisorLock)) return void stop()
    const [manifest, wanted] = [
      await currentManifest(paths),
      await readStateFile(paths.activation, activationSchema),
    ]
    await apply(manifest)
    if (stopping) return
    generation = manifest?.generation ?? 0
    // The switch writes the generation first. If it wrote both between the two reads, the next round
    // applies the generation.
    if (wanted?.generation === generation && wanted.id !== activation) {
      for (const unit of units.values()) unit.restartNow()
      activation = wanted.id
    }
    await writeState()
    lastError = ''
  }, report)

  const writeState = createSerial(async () => {
    const apps = Object.fromEntries([...units].map(([name, unit]) => [name, unit.view()]))
    if (!existsSync(paths.supervisorLock)) return
    const uid = confinement?.uid ?? process.getuid?.()
    const state = toJson({ pid: process.pid, uid, generation, activation, ready, apps })
    if (state === written) return
    await writeAtomic(paths.supervisorState, state)
    written = state
  }, report)

  /** Logs an error, but not every second if the error persists. */
  function report(error: Error): void {
    if (error.message !== lastError) log(error.message)
    lastError = error.message
  }

  async function apply(manifest: Manifest | null): Promise<void> {
    const apps = manifest?.apps ?? {}
    const outdated = [...units].filter(([name, unit]) => digestOf(own(apps, name) ?? null) !== unit.digest)
    // All removed or changed apps are stopped first, because a new app may use the port of one of them.
    // A process that can't be killed does not keep the other apps from their start.
    await Promise.all(outdated.map(([name]) => stopUnit(name).catch(report)))
    for (const [name, spec] of Object.entries(apps)) {
      if (units.has(name) || stopping) continue
      const unit = createUnit({
        name,
        spec,
        dataDir,
        confinement,
        mark: `${mark}/${name}`,
        onChange: () => void writeState(),
      })
      units.set(name, unit)
      log(`starting ${name}`)
      unit.start()
    }
  }

  async function stopUnit(name: string): Promise<void> {
    log(`stopping ${name}`)
    await units.get(name)?.stop()
    units.delete(name)
  }

  async function shutDown(): Promise<void> {
    clearInterval(timer)
    watcher?.close()
    const stops = await Promise.allSettled([...units.keys()].map(stopUnit))
    for (const stop of stops) if (stop.status === 'rejected') log(String(stop.reason))
    await writeState()
    lock?.release()
    done.resolve()
  }

  async function begin(): Promise<boolean> {
    await makeDirectory(paths.supervisor)
    lock = await acquireFileLock(paths.supervisorLock, LOCK_LIMIT_MS)
    if (!lock) return false
    await writeState() // replaces the outdated state and process id of the previous supervisor
    mark = `${await readMark(paths.mark)}/unit`
    await terminateGroup({ marks: [mark] }, LEFTOVER_TERM_LIMIT_MS).catch(report)
    watcher = watch(paths.state, (_, file) => {
      if (file === null || watched.includes(file)) void reconcile()
    })
    watcher.on('error', report)
    timer = setInterval(() => void reconcile(), ROUND_INTERVAL_MS)
    ready = true
    await writeState()
    void reconcile()
    return true
  }

  /**
   * A start in progress is completed first. Otherwise the timer that the start creates would keep the process
   * alive.
   */
  function stop(): Promise<void> {
    stopping ??= (starting ?? Promise.resolve()).then(shutDown, shutDown)
    return stopping
  }

  return {
    start() {
      starting ??= begin()
      return starting
    },
    stop,
    stopped: done.promise,
  }
}

/**
 * Returns a function that calls `work`, but never twice at the same time. If the function is called while
 * `work` runs, `work` is called once more afterwards.
 */
function createSerial(work: () => Promise<void>, onError: (error: Error) => void): () => Promise<void> {
  let running: Promise<void> | null = null
  let again = false
  async function run(): Promise<void> {
    do {
      again = false
      await work().catch(onError)
    } while (again)
    running = null
  }
  return () => {
    again = true
    running ??= run()
    return running
  }
}
