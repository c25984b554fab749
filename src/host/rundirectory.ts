/**
 * The run directory: the files through which the agent and one run of the switch exchange their state. Each
 * can outlive the other, so they use files and a kernel lock instead of a connection.
 *
 *   created -> claimed -> (activated) -> exit written
 *
 * - The agent creates the directory and starts the run. A run starts once, because only one caller can create
 *   the directory.
 * - The run takes the lock and holds it until its process ends. Then it writes the claim.
 * - To cancel a run that has not begun, the agent writes the claim itself. Then the run never begins.
 * - A claim without a held lock and without an exit file means that the run was killed: it is lost.
 */
import { type FSWatcher, watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { claimFile, readIfExists } from '../system/atomicfile.ts'
import { acquireFileLock } from '../system/filelock.ts'
import type { RunState } from './contract.ts'

export interface RunFiles {
  dir: string
  /** Output of the switch. */
  log: string
  /** File lock that the run holds until its process ends; the kernel then releases the lock. */
  lock: string
  /**
   * Created by the run when it begins, or by the agent to ensure that it never begins. The first writer
   * decides.
   */
  claim: string
  /** Exists once the run has begun activation. */
  activated: string
  /** Exit code, written at the end. */
  exit: string
}

export function runFiles(dir: string): RunFiles {
  return {
    dir,
    log: join(dir, 'log'),
    lock: join(dir, 'lock'),
    claim: join(dir, 'claim'),
    activated: join(dir, 'activated'),
    exit: join(dir, 'exit'),
  }
}

/**
 * Creates the directory of a run. Its parent must exist.
 * @returns false if the directory already exists.
 */
export async function createRunDirectory({ dir }: RunFiles, mode?: number): Promise<boolean> {
  try {
    await mkdir(dir, { mode })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/**
 * Takes the run's lock, then its claim. The order matters, because a claim without a held lock means that the
 * run is over. Taking the lock may need a moment, because a process that checks the lock holds it briefly.
 * @returns false if the run was begun or cancelled before.
 */
export async function beginRun(files: RunFiles, lockLimitMs: number): Promise<boolean> {
  return (
    (await acquireFileLock(files.lock, lockLimitMs)) !== null && (await claimFile(files.claim, 'started'))
  )
}

/** Reads the exit code of a run; null if the run has not written it. */
export async function readExit(files: RunFiles): Promise<RunState | null> {
  const code = await readIfExists(files.exit)
  return code === null ? null : { state: 'exited', exitCode: Number(code) }
}

/**
 * Calls `onChange` after file events in the directory of a run. Errors are ignored, because the caller also
 * polls.
 * @returns a function that ends the calls.
 */
export function watchRunDirectory({ dir }: RunFiles, onChange: () => void): () => void {
  let watcher: FSWatcher
  try {
    watcher = watch(dir, onChange)
  } catch {
    return () => undefined
  }
  watcher.on('error', () => watcher.close())
  return () => watcher.close()
}
