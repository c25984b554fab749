/**
 * Keeps the apps of the current generation running, as a process apart from the agent: killing the agent leaves the apps
 * alone. Level-triggered: each round compares what is on with what should be, so a lost event costs a second, no more.
 */
import { existsSync, type FSWatcher, watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { toJson, writeAtomic } from '../../system/atomicfile.ts'
import { type FileLock, acquireFileLock } from '../../system/filelock.ts'
import { terminateGroup, readMark } from '../../system/processgroup.ts'
import { statePaths } from './paths.ts'
import { activationSchema, currentManifest, digestOf, type Manifest, readStateFile } from './statefiles.ts'
import { createUnit, type Unit } from './unit.ts'

/** Between two looks when no event comes. */
const TICK_MS = 1_000
/** For whoever only looks whether the lock is free, or a supervisor on its way out. */
const LOCK_LIMIT_MS = 5_000
/** How long apps that a killed supervisor left may take to leave. */
const LEFTOVER_TERM_LIMIT_MS = 10_000

export interface SupervisorOptions {
  /** `<data>/host` */
  stateDir: string
  log: (line: string) => void
}

export interface Supervisor {
  /** false: another supervisor runs already. */
  start(): Promise<boolean>
  /** Stops all apps. Idempotent. */
  stop(): Promise<void>
  /** Resolves when it has stopped, also when that was because its directory is gone. */
  stopped: Promise<void>
}

export function createSupervisor({ stateDir, log }: SupervisorOptions): Supervisor {
  const paths = statePaths(stateDir)
  const dataDir = dirname(paths.state)
  const units = new Map<string, Unit>()
  const done = Promise.withResolvers<void>()
  let lock: FileLock | null = null
  let watcher: FSWatcher | undefined
  let timer: NodeJS.Timeout | undefined
  let mark = ''
  let generation: number | null = null
  let activation: string | null = null
  let stopping: Promise<void> | undefined
  let trouble = ''

  const look = createSerial(async () => {
    if (stopping) return
    if (!existsSync(paths.supervisorLock)) return void stop()
    const [manifest, wanted] = [
      await currentManifest(paths),
      await readStateFile(paths.activation, activationSchema),
    ]
    await apply(manifest)
    if (stopping) return
    if (wanted && wanted.id !== activation) for (const unit of units.values()) unit.kick()
    generation = manifest?.generation ?? 0
    activation = wanted?.id ?? null
    await writeState()
    trouble = ''
  }, report)

  const writeState = createSerial(async () => {
    const apps = Object.fromEntries([...units].map(([name, unit]) => [name, unit.view()]))
    if (!existsSync(paths.supervisorLock)) return
    await writeAtomic(paths.supervisorState, toJson({ pid: process.pid, generation, activation, apps }))
  }, report)

  /** Once per trouble, not once per second. */
  function report(error: Error): void {
    if (error.message !== trouble) log(error.message)
    trouble = error.message
  }

  async function apply(manifest: Manifest | null): Promise<void> {
    const apps = manifest?.apps ?? {}
    const outdated = [...units].filter(([name, unit]) => !apps[name] || digestOf(apps[name]) !== unit.digest)
    // All are stopped before any is started: a new app may want the port of an old one.
    await Promise.all(outdated.map(([name]) => stopUnit(name)))
    for (const [name, spec] of Object.entries(apps)) {
      if (units.has(name) || stopping) continue
      const unit = createUnit({
        name,
        spec,
        dataDir,
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
    for (const one of stops) if (one.status === 'rejected') log(String(one.reason))
    await writeState()
    lock?.release()
    done.resolve()
  }

  function stop(): Promise<void> {
    stopping ??= shutDown()
    return stopping
  }

  return {
    async start() {
      await mkdir(paths.supervisor, { recursive: true })
      lock = await acquireFileLock(paths.supervisorLock, LOCK_LIMIT_MS)
      if (!lock) return false
      await writeState() // what the last one wrote is not true any more, its process id least of all
      mark = `${await readMark(paths.mark)}/unit`
      await terminateGroup({ marks: [mark] }, LEFTOVER_TERM_LIMIT_MS)
      watcher = watch(paths.state, () => void look())
      watcher.on('error', report)
      timer = setInterval(() => void look(), TICK_MS)
      void look()
      return true
    },
    stop,
    stopped: done.promise,
  }
}

/** At most one at a time; asked while it works, it works once more afterwards. Resolves when that is over. */
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
