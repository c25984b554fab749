/**
 * Program that changes the local host (apps as child processes, without NixOS), as `nixos-rebuild switch`
 * changes a NixOS machine.
 *
 *   node switch.ts --config <dir> --state <data>/host --run <dir> [--npm '["npm"]'] [--as '{"uid":…}']
 *   node switch.ts --back-to <generation> --state <data>/host --run <dir>
 *
 * Installs the configured apps, and writes and activates a generation (a complete configuration that can be
 * activated again). With --back-to, activates an older generation instead. Writes the failed apps to
 * `result.json` and the exit code to `exit` in the directory of --run.
 *
 * Exit codes: 0 done; 1 nothing was activated; 4 activated, but some apps did not start; 143 stopped before
 * the activation.
 */
import { mkdir } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { toJson, writeAtomic } from '../../system/atomicfile.ts'
import { describeFullDisk, diskSpace, isDiskFull } from '../../system/diskspace.ts'
import { acquireFileLock } from '../../system/filelock.ts'
import { readMark } from '../../system/processgroup.ts'
import { beginRun } from '../rundirectory.ts'
import {
  EXIT_NOTHING_SWITCHED,
  EXIT_STOPPED,
  EXIT_UNITS_FAILED,
  npmMarks,
  type Paths,
  type RunPaths,
  runPaths,
  statePaths,
} from './paths.ts'
import type { StoreOptions } from './store.ts'

/** Time in ms to wait for a file lock, which an execution of switch.ts that is just ending may still hold. */
const LOCK_LIMIT_MS = 10_000

const print = (line: string) => console.log(line)

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      'back-to': { type: 'string' },
      state: { type: 'string' },
      run: { type: 'string' },
      npm: { type: 'string', default: '["npm"]' },
      as: { type: 'string', default: 'null' },
    },
  })
  const { config, 'back-to': backTo } = values
  const confinement = JSON.parse(values.as)
  if (confinement) process.umask(0o077) // Files of the agent are not readable for apps.
  if (!(config || backTo) || !values.state || !values.run)
    throw new Error('usage: --config or --back-to, with --state and --run')
  const run = runPaths(resolve(values.run))
  const paths = statePaths(resolve(values.state))
  await mkdir(run.dir, { recursive: true })
  const loading = import('./switchsteps.ts') // while the locks are taken
  // The lock in the directory of --run is taken first, because the agent recognizes a running switch.ts by
  // this lock.
  const begun = await beginRun(run, LOCK_LIMIT_MS)
  if (!begun) throw new Error('this run was started before, or cancelled before its start')
  const code = await withExitCodes(run, (signal, enterActivation) =>
    withSwitchLock(paths, async () =>
      (await loading).runSwitch({
        paths,
        run,
        configDir: resolve(config ?? ''),
        backTo: backTo ?? null,
        dataDir: dirname(paths.state),
        store: { ...(await storeOptions(paths, run, signal, JSON.parse(values.npm))), confinement },
        enterActivation,
      }),
    ),
  )
  print(code === 0 ? 'done' : `ended with exit code ${code}`)
  await writeAtomic(run.exit, String(code))
  return code
}

async function storeOptions(
  paths: Paths,
  run: RunPaths,
  signal: AbortSignal,
  command: string[],
): Promise<Omit<StoreOptions, 'confinement'>> {
  const id = basename(run.dir)
  const mark = `${npmMarks(await readMark(paths.mark))}/${id}`
  return { store: paths.store, run: id, command, cache: paths.npmCache, mark, signal, log: print }
}

async function withSwitchLock(paths: Paths, work: () => Promise<number>): Promise<number> {
  const lock = await acquireFileLock(paths.switchLock, LOCK_LIMIT_MS)
  if (!lock) throw new Error('another switch is running')
  try {
    return await work()
  } finally {
    lock.release()
  }
}

async function withExitCodes(
  run: RunPaths,
  work: (signal: AbortSignal, enterActivation: () => Promise<void>) => Promise<number>,
): Promise<number> {
  const stop = new AbortController()
  let activating = false
  const onSignal = () => {
    if (!activating) stop.abort(new Error('stopped'))
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal)
  const enterActivation = async () => {
    stop.signal.throwIfAborted()
    activating = true
    await writeAtomic(run.activated, '')
  }
  try {
    return await work(stop.signal, enterActivation)
  } catch (error) {
    print(`error: ${(error as Error).message}`)
    if (isDiskFull(error)) await recordFullDisk(run).catch(() => undefined)
    if (stop.signal.aborted) return EXIT_STOPPED
    return activating ? EXIT_UNITS_FAILED : EXIT_NOTHING_SWITCHED
  }
}

/** Records why no app was installed. The file may fit, because unfinished files are deleted. */
async function recordFullDisk(run: RunPaths): Promise<void> {
  const message = describeFullDisk(await diskSpace(run.dir))
  await writeAtomic(run.result, toJson({ failures: {}, cause: { class: 'build', message, log: [] } }))
}

process.exitCode = await main()
