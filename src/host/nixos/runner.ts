/**
 * Starts switches that outlive the agent, finds them again after a restart, and stops them. With systemd the start is a
 * request file that a path unit waits for; without, with an executable of our own, it is a detached process.
 */
import { spawn } from 'node:child_process'
import { existsSync, watch } from 'node:fs'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { claimFile, readIfExists, toJson, writeAtomic } from '../../system/atomicfile.ts'
import { isLocked } from '../../system/filelock.ts'
import { killGroup, MARK, membersOf, readMark } from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { Run, RunState } from '../contract.ts'
import { readGeneration, type SystemLinks } from './generation.ts'
import { type NixosPaths, RUN_ID, type RunPaths, runPaths } from './paths.ts'
import { type RunRequest, readRequest } from './runrequest.ts'

const REBUILD = fileURLToPath(new URL('./rebuild.ts', import.meta.url))
/** Between the request file and the unit it starts: more means that there is no such unit. */
const BIRTH_LIMIT_MS = 60_000
/** The rebuild ends its command within 5 s of being asked. */
const STOP_LIMIT_MS = 15_000
/** Of the runs that are over, for whoever wants to read their logs. */
const RUNS_KEPT = 50

export interface RunnerOptions {
  paths: NixosPaths
  links: SystemLinks
  /** Absolute path of an executable that is started instead of the unit of systemd. */
  rebuild: string | undefined
  nodePath: string
  environment: Record<string, string>
}

export function createRunner({ paths, links, rebuild, nodePath, environment }: RunnerOptions) {
  const of = (run: Run): RunPaths => runPaths(paths, run.id)
  const markOf = async (run: Run) => `${await readMark(paths.mark)}/rebuild/${run.id}`
  /** The request that was not taken yet. */
  async function requestOf(run: Run): Promise<string | null> {
    for (const file of [paths.request, paths.rollback]) {
      if ((await readIfExists(file))?.trim() === run.id) return file
    }
    return null
  }

  async function startSwitch(run: Run, apps: string[], goBack = false): Promise<void> {
    const files = of(run)
    await mkdir(paths.runs, { recursive: true })
    if (!(await makeDirectory(files.dir))) return
    const request: RunRequest = { run: run.id, apps, generation: await readGeneration(links) }
    await writeAtomic(files.request, toJson(request))
    if (rebuild !== undefined) await startDetached(run, rebuild, goBack)
    else await writeAtomic(goBack ? paths.rollback : paths.request, `${run.id}\n`)
    await removeOldRuns(paths)
  }

  async function startDetached(run: Run, program: string, goBack: boolean): Promise<void> {
    const command = [program, of(run).dir, ...(goBack ? ['--rollback'] : [])]
    const from = ['--state', paths.state, '--profile', links.profile, '--current', links.current]
    const child = spawn(nodePath, [REBUILD, ...from, '--run', run.id, '--', ...command], {
      cwd: paths.state,
      env: { ...environment, [MARK]: await markOf(run) },
      detached: true,
      stdio: 'ignore',
    })
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    child.unref()
  }

  /** A process of it lives, even if the one that would write the exit file was killed. */
  async function lives(run: Run): Promise<boolean> {
    if (isLocked(of(run).lock)) return true
    return rebuild !== undefined && (await membersOf({ marks: [await markOf(run)] })).length > 0
  }

  async function isBeingBorn(run: Run, madeMs: number): Promise<boolean> {
    if (rebuild !== undefined) return false // Its process would live already.
    return (await requestOf(run)) !== null && Date.now() - madeMs < BIRTH_LIMIT_MS
  }

  async function inspect(run: Run): Promise<RunState> {
    const files = of(run)
    const made = await stat(files.dir).catch(() => null)
    if (!made) return { state: 'absent' }
    const exited = await readExit(files)
    if (exited) return exited
    // The request is looked at before the claim: it is removed after the claim is made.
    const born = await isBeingBorn(run, made.ctimeMs)
    if (await lives(run)) return { state: 'running', ...((await hasActivated(run)) && { activating: true }) }
    if (!existsSync(files.claim)) {
      if (born) return { state: 'running' }
      // Giving it up makes sure that it never starts, however late it comes.
      if (!(await claimFile(files.claim, 'given up'))) return { state: 'running' }
    }
    return (await readExit(files)) ?? { state: 'lost' }
  }

  async function hasActivated(run: Run): Promise<boolean> {
    if (existsSync(of(run).activated)) return true
    const request = await readRequest(of(run).request)
    return request !== null && (await readGeneration(links)) !== request.generation
  }

  async function stopSwitch(run: Run): Promise<boolean> {
    const files = of(run)
    const gone = () => pollUntil(async () => !(await lives(run)), STOP_LIMIT_MS)
    if (!existsSync(files.dir)) return true
    if (await readExit(files)) return (await gone()) === true
    if (await claimFile(files.claim, 'stopped')) {
      // Too early to have begun: now it never does.
      const request = await requestOf(run)
      if (request) await rm(request, { force: true })
    } else if (await hasActivated(run)) {
      return !(await lives(run))
    }
    await claimFile(files.stop, '')
    await pollUntil(async () => (await hasActivated(run)) || !(await lives(run)), STOP_LIMIT_MS)
    if (await hasActivated(run)) return false
    if (rebuild !== undefined) await killGroup({ marks: [await markOf(run)] })
    return !(await lives(run)) && !(await hasActivated(run))
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

  return { of, startSwitch, inspect, stopSwitch, watchLog }
}

/** @returns false when it is there already. */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o750 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function readExit(files: RunPaths): Promise<RunState | null> {
  const code = await readIfExists(files.exit)
  return code === null ? null : { state: 'exited', exitCode: Number(code) }
}

/** Housekeeping: a directory that can't be removed is no reason not to switch. */
async function removeOldRuns(paths: NixosPaths): Promise<void> {
  const number = (id: string) => id.split('-').map(Number)
  const ids = (await readdir(paths.runs).catch(() => [])).filter((id) => RUN_ID.test(id))
  const newestFirst = ids.sort((a, b) => {
    const [[rebuildA = 0, runA = 0], [rebuildB = 0, runB = 0]] = [number(a), number(b)]
    return rebuildB - rebuildA || runB - runA
  })
  for (const id of newestFirst.slice(RUNS_KEPT)) {
    await rm(runPaths(paths, id).dir, { recursive: true, force: true }).catch(() => undefined)
  }
}
