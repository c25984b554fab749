/**
 * Starts, observes and stops `nixos-rebuild switch`. The command is started by systemd, or by the agent
 * itself if the settings name another program. The command continues when the agent ends.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { claimFile, readIfExists, toJson, writeAtomic } from '../../system/atomicfile.ts'
import { spawnDetached } from '../../system/childprocess.ts'
import { isLocked } from '../../system/filelock.ts'
import { NODE_FLAGS } from '../../system/nodeflags.ts'
import { killGroup, MARK, membersOf, readMark } from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'
import { watchDirectory } from '../../system/watchdirectory.ts'
import type { Run, RunState } from '../contract.ts'
import { createRunDirectory, readExit } from '../rundirectory.ts'
import { readGeneration, type SystemLinks } from './generation.ts'
import { type NixosPaths, RUN_ID, type RunPaths, runPaths } from './paths.ts'
import { type RunRequest, readRequest } from './runrequest.ts'

const REBUILD = fileURLToPath(new URL('./rebuild.ts', import.meta.url))
/**
 * Time in ms for systemd to start the command after the request file was created. Later, the systemd service
 * counts as missing.
 */
const START_LIMIT_MS = 60_000
/** Time in ms to wait for the end of the command, which rebuild.ts kills 5 s after a stop request. */
const STOP_LIMIT_MS = 15_000
const RUNS_KEPT = 50

export interface RunnerOptions {
  paths: NixosPaths
  links: SystemLinks
  rebuild: string | undefined
  nodePath: string
  environment: Record<string, string>
}

export function createRunner({ paths, links, rebuild, nodePath, environment }: RunnerOptions) {
  const of = (run: Run): RunPaths => runPaths(paths, run.id)
  const markOf = async (run: Run) => `${await readMark(paths.mark)}/rebuild/${run.id}`
  /** Returns the path of the request file. Returns null if systemd has already started the command. */
  async function pendingRequest(run: Run): Promise<string | null> {
    for (const file of [paths.request, paths.rollback]) {
      if ((await readIfExists(file))?.trim() === run.id) return file
    }
    return null
  }

  async function startSwitch(run: Run, apps: string[], rollback = false): Promise<void> {
    const files = of(run)
    await mkdir(paths.runs, { recursive: true })
    if (!(await createRunDirectory(files, 0o750))) return
    const request: RunRequest = { run: run.id, apps, generation: await readGeneration(links) }
    await writeAtomic(files.request, toJson(request))
    if (rebuild !== undefined) await startDetached(run, rebuild, rollback)
    else await writeAtomic(rollback ? paths.rollback : paths.request, `${run.id}\n`)
    await removeOldRuns(paths)
  }

  async function startDetached(run: Run, program: string, rollback: boolean): Promise<void> {
    const command = [program, of(run).dir, ...(rollback ? ['--rollback'] : [])]
    const from = ['--state', paths.state, '--profile', links.profile, '--current', links.current]
    await spawnDetached(nodePath, [...NODE_FLAGS, REBUILD, ...from, '--run', run.id, '--', ...command], {
      cwd: paths.state,
      env: { ...environment, [MARK]: await markOf(run) },
      stdio: 'ignore',
    })
  }

  async function isAlive(run: Run): Promise<boolean> {
    if (isLocked(of(run).lock)) return true
    return rebuild !== undefined && (await membersOf({ marks: [await markOf(run)] })).length > 0
  }

  /** True if the command was requested a short time ago and systemd has not started the command yet. */
  async function isStarting(run: Run, createdMs: number): Promise<boolean> {
    if (rebuild !== undefined) return false // A detached process is alive as soon as startSwitch returns.
    return (await pendingRequest(run)) !== null && Math.abs(Date.now() - createdMs) < START_LIMIT_MS
  }

  async function inspect(run: Run): Promise<RunState> {
    const files = of(run)
    const directory = await stat(files.dir).catch(() => null)
    if (!directory) return { state: 'absent' }
    const exited = await readExit(files)
    if (exited) return exited
    // rebuild.ts creates the claim file and then deletes the request file. The request file is therefore
    // checked first. In the reverse order, both files could seem missing.
    const starting = await isStarting(run, directory.ctimeMs)
    if (await isAlive(run))
      return { state: 'running', ...((await hasActivated(run)) && { activating: true }) }
    if (!existsSync(files.claim)) {
      if (starting) return { state: 'running' }
      // If systemd starts rebuild.ts later, rebuild.ts finds this file and ends at once.
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
    const hasEnded = () => pollUntil(async () => !(await isAlive(run)), STOP_LIMIT_MS)
    if (!existsSync(files.dir)) return true
    if (await readExit(files)) return (await hasEnded()) === true
    if (await claimFile(files.claim, 'stopped')) {
      // The command had not begun. rebuild.ts ends at once if it finds the claim file, so a request that
      // makes systemd start rebuild.ts is deleted.
      const request = await pendingRequest(run)
      if (request) await rm(request, { force: true })
    } else if (await hasActivated(run)) {
      return !(await isAlive(run))
    }
    await claimFile(files.stop, '')
    await pollUntil(async () => (await hasActivated(run)) || !(await isAlive(run)), STOP_LIMIT_MS)
    if (await hasActivated(run)) return false
    if (rebuild !== undefined) await killGroup({ marks: [await markOf(run)] })
    return !(await isAlive(run)) && !(await hasActivated(run))
  }

  const watchLog = (run: Run, onChange: () => void) => watchDirectory(of(run).dir, onChange)

  return { of, startSwitch, inspect, stopSwitch, watchLog }
}

/**
 * Deletes the oldest logs. Errors are ignored, because a directory that can't be deleted must not prevent a
 * rebuild.
 */
async function removeOldRuns(paths: NixosPaths): Promise<void> {
  const ids = (await readdir(paths.runs).catch(() => [])).filter((id) => RUN_ID.test(id))
  const runs = await Promise.all(
    ids.map(async (id) => {
      const directory = await stat(runPaths(paths, id).dir).catch(() => null)
      return { id, at: directory?.mtimeMs ?? 0 }
    }),
  )
  // Numbers of rebuilds repeat after a restore, so the times are compared.
  const newestFirst = runs.sort((a, b) => b.at - a.at)
  for (const { id } of newestFirst.slice(RUNS_KEPT)) {
    await rm(runPaths(paths, id).dir, { recursive: true, force: true }).catch(() => undefined)
  }
}
