/**
 * Starts, observes and stops switch.ts, which installs and activates the configured apps. switch.ts continues
 * when the agent ends, so a restarted agent must find the process again.
 */
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { claimFile } from '../../system/atomicfile.ts'
import { spawnDetached } from '../../system/childprocess.ts'
import { isLocked } from '../../system/filelock.ts'
import { NODE_FLAGS } from '../../system/nodeflags.ts'
import {
  killGroup,
  MARK,
  membersOf,
  readMark,
  sendSignal,
  terminateGroup,
} from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'
import { watchDirectory } from '../../system/watchdirectory.ts'
import type { Run, RunResult, RunState } from '../contract.ts'
import { createRunDirectory, readExit } from '../rundirectory.ts'
import { removeTemps } from './generation.ts'
import { npmMarks, type Paths, type RunPaths, runPaths } from './paths.ts'
import type { Prepared } from './preparation.ts'
import { readStateFile, resultSchema } from './statefiles.ts'

const SWITCH = fileURLToPath(new URL('./switch.ts', import.meta.url))
/**
 * Time in ms to wait for the process of switch.ts after the creation of its directory. If there is no process
 * after this time, the agent was killed before starting the process.
 */
const START_LIMIT_MS = 30_000
/** Time in ms that switch.ts may take to end after SIGTERM, of which stopping npm takes up to 8 s. */
const STOP_LIMIT_MS = 12_000
/** Time in ms to wait for the end of an activation, which is never interrupted. */
const ACTIVATION_LIMIT_MS = 15_000
const RUN_ID = /^[\w.-]{1,64}$/

export interface RunnerOptions {
  paths: Paths
  npmCommand: string[]
  prepare(): Promise<Prepared>
}

export function createRunner({ paths, npmCommand, prepare }: RunnerOptions) {
  const of = (run: Run): RunPaths => {
    if (!RUN_ID.test(run.id) || run.id.startsWith('.')) throw new Error(`"${run.id}" is not a run id`)
    return runPaths(join(paths.runs, run.id))
  }
  const marksOf = async (run: Run) => {
    const mark = await readMark(paths.mark)
    return { switch: `${mark}/switch/${run.id}`, npm: `${npmMarks(mark)}/${run.id}` }
  }

  async function startSwitch(run: Run, rollBackTo: string | null = null): Promise<void> {
    const files = of(run)
    await mkdir(paths.runs, { recursive: true })
    const { nodePath, environment, confinement } = await prepare()
    if (!(await createRunDirectory(files))) return
    const log = await open(files.log, 'a', 0o600)
    try {
      const what = rollBackTo === null ? ['--config', paths.config] : ['--back-to', rollBackTo]
      const json = ['--npm', JSON.stringify(npmCommand), '--as', JSON.stringify(confinement)]
      const args = [...what, '--state', paths.state, '--run', files.dir, ...json]
      await spawnDetached(nodePath, [...NODE_FLAGS, SWITCH, ...args], {
        cwd: paths.state,
        env: { ...environment, [MARK]: (await marksOf(run)).switch },
        stdio: ['ignore', log.fd, log.fd],
      })
      await writeFile(files.spawned, '')
    } finally {
      await log.close()
    }
  }

  async function inspect(run: Run): Promise<RunState> {
    const files = of(run)
    const exited = await readExit(files)
    if (exited) return exited
    const directory = await stat(files.dir).catch(() => null)
    if (!directory) return { state: 'absent' }
    if (isLocked(files.lock))
      return { state: 'running', ...(existsSync(files.activated) && { activating: true }) }
    if (existsSync(files.claim)) return (await readExit(files)) ?? { state: 'lost' }
    // No process of switch.ts holds the lock or has created the claim file. A process that was started a
    // moment ago may still do both. Otherwise the agent creates the file, and a later process ends at once.
    if (await isStarting(run, files, directory.ctimeMs)) return { state: 'running' }
    return (await claimFile(files.claim, 'given up')) ? { state: 'lost' } : { state: 'running' }
  }

  async function isStarting(run: Run, files: RunPaths, createdMs: number): Promise<boolean> {
    if (!existsSync(files.spawned)) return Math.abs(Date.now() - createdMs) < START_LIMIT_MS
    return (await membersOf({ marks: [(await marksOf(run)).switch] })).length > 0
  }

  async function stopSwitch(run: Run): Promise<boolean> {
    const files = of(run)
    const activated = () => existsSync(files.activated)
    if (!existsSync(files.dir)) return true
    // The claim file makes a process of switch.ts that is still starting end at once.
    await claimFile(files.claim, 'stopped')
    const marks = await marksOf(run)
    // SIGTERM goes only to switch.ts, which stops npm itself, and which ignores the signal during an
    // activation.
    for (const pid of await membersOf({ marks: [marks.switch] })) sendSignal(pid, 'SIGTERM')
    const hasEnded = async () => (await membersOf({ marks: [marks.switch] })).length === 0
    await pollUntil(async () => activated() || (await hasEnded()), STOP_LIMIT_MS)
    if (activated()) return false
    await killGroup({ marks: [marks.switch] })
    await terminateGroup({ marks: [marks.npm] }, 0)
    await removeTemps(paths.store, run.id)
    return !activated()
  }

  /** Stops all executions of switch.ts. Waits for the end of an execution that is activating a generation. */
  async function stopAll(): Promise<void> {
    const runs = await readdir(paths.runs).catch(() => [])
    for (const id of runs) {
      const run = { id }
      if ((await inspect(run)).state !== 'running' || (await stopSwitch(run))) continue
      await pollUntil(() => !isLocked(of(run).lock), ACTIVATION_LIMIT_MS)
    }
  }

  const watchLog = (run: Run, onChange: () => void) => watchDirectory(of(run).dir, onChange)

  async function result(run: Run): Promise<RunResult> {
    return (await readStateFile(of(run).result, resultSchema)) ?? { failures: {} }
  }

  return { of, startSwitch, inspect, stopSwitch, stopAll, watchLog, result }
}
