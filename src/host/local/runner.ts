/** Starts switches that outlive the agent, finds them again after a restart, and stops them. */
import { spawn } from 'node:child_process'
import { existsSync, watch } from 'node:fs'
import { mkdir, open, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { claimFile, readIfExists } from '../../system/atomicfile.ts'
import { isLocked } from '../../system/filelock.ts'
import {
  killGroup,
  MARK,
  membersOf,
  readMark,
  sendSignal,
  terminateGroup,
} from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { Run, RunResult, RunState } from '../contract.ts'
import type { Environment } from './environment.ts'
import { removeTemps } from './generation.ts'
import { type Paths, type RunPaths, runPaths } from './paths.ts'
import { readStateFile, resultSchema } from './statefiles.ts'
import { npmMarks } from './switchsteps.ts'

const SWITCH = fileURLToPath(new URL('./switch.ts', import.meta.url))
/**
 * Between the run's directory and its process, on a slow, busy machine: longer only if the agent was killed.
 */
const BIRTH_LIMIT_MS = 30_000
/** After SIGTERM the switch ends npm (3 s, and 5 s to kill it) and removes what it has unpacked. */
const STOP_LIMIT_MS = 12_000
/** Links are switched and processes started within this; it is not cut short. */
const ACTIVATION_LIMIT_MS = 15_000
const RUN_ID = /^[\w.-]{1,64}$/

export interface RunnerOptions {
  paths: Paths
  nodePath: string
  npmCommand: string[]
  environment: Environment
}

export function createRunner({ paths, nodePath, npmCommand, environment }: RunnerOptions) {
  const of = (run: Run): RunPaths => {
    if (!RUN_ID.test(run.id) || run.id.startsWith('.')) throw new Error(`"${run.id}" is no run id`)
    return runPaths(join(paths.runs, run.id))
  }
  const marksOf = async (run: Run) => {
    const mark = await readMark(paths.mark)
    return { switch: `${mark}/switch/${run.id}`, npm: `${npmMarks(mark)}/${run.id}` }
  }

  async function startSwitch(run: Run, rollBackTo: string | null = null): Promise<void> {
    const files = of(run)
    await mkdir(paths.runs, { recursive: true })
    const isNew = await mkdir(files.dir).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false
        throw error
      },
    )
    if (!isNew) return
    const log = await open(files.log, 'a', 0o600)
    try {
      const what = rollBackTo === null ? ['--config', paths.config] : ['--back-to', rollBackTo]
      const args = [...what, '--state', paths.state, '--run', files.dir]
      const child = spawn(nodePath, [SWITCH, ...args, '--npm', JSON.stringify(npmCommand)], {
        cwd: paths.state,
        env: { ...environment, [MARK]: (await marksOf(run)).switch },
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      })
      await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
      child.unref()
      await writeFile(files.spawned, '')
    } finally {
      await log.close()
    }
  }

  async function inspect(run: Run): Promise<RunState> {
    const files = of(run)
    const exited = await readExit(files)
    if (exited) return exited
    const made = await stat(files.dir).catch(() => null)
    if (!made) return { state: 'absent' }
    if (isLocked(files.lock))
      return { state: 'running', ...(existsSync(files.activated) && { activating: true }) }
    if (existsSync(files.claim)) return (await readExit(files)) ?? { state: 'lost' }
    // Not a sign of life yet. Giving it up makes sure that it never starts, however late it comes.
    if (await isBeingBorn(run, files, made.ctimeMs)) return { state: 'running' }
    return (await claimFile(files.claim, 'given up')) ? { state: 'lost' } : { state: 'running' }
  }

  async function isBeingBorn(run: Run, files: RunPaths, madeMs: number): Promise<boolean> {
    if (!existsSync(files.spawned)) return Date.now() - madeMs < BIRTH_LIMIT_MS
    return (await membersOf({ marks: [(await marksOf(run)).switch] })).length > 0
  }

  async function stopSwitch(run: Run): Promise<boolean> {
    const files = of(run)
    const activated = () => existsSync(files.activated)
    if (!existsSync(files.dir)) return true
    await claimFile(files.claim, 'stopped') // Too early to have begun: now it never does.
    const marks = await marksOf(run)
    // SIGTERM to the switch alone: it ends npm itself, and ignores this once it activates.
    for (const pid of await membersOf({ marks: [marks.switch] })) sendSignal(pid, 'SIGTERM')
    const gone = async () => (await membersOf({ marks: [marks.switch] })).length === 0
    await pollUntil(async () => activated() || (await gone()), STOP_LIMIT_MS)
    if (activated()) return false
    await killGroup({ marks: [marks.switch] })
    await terminateGroup({ marks: [marks.npm] }, 0)
    await removeTemps(paths.store, run.id)
    return !activated()
  }

  /** Ends every switch that runs, or waits until one that activates is through. */
  async function stopAll(): Promise<void> {
    const runs = await readdir(paths.runs).catch(() => [])
    for (const id of runs) {
      const run = { id }
      if ((await inspect(run)).state !== 'running' || (await stopSwitch(run))) continue
      await pollUntil(() => !isLocked(of(run).lock), ACTIVATION_LIMIT_MS)
    }
  }

  function watchLog(run: Run, onChange: () => void): () => void {
    try {
      const watcher = watch(of(run).dir, onChange)
      watcher.on('error', () => watcher.close()) // The caller polls as well.
      return () => watcher.close()
    } catch {
      return () => undefined
    }
  }

  async function result(run: Run): Promise<RunResult> {
    return (await readStateFile(of(run).result, resultSchema)) ?? { failures: {} }
  }

  return { of, startSwitch, inspect, stopSwitch, stopAll, watchLog, result }
}

async function readExit(files: RunPaths): Promise<RunState | null> {
  const code = await readIfExists(files.exit)
  return code === null ? null : { state: 'exited', exitCode: Number(code) }
}
