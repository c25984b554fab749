/**
 * Manages the run directory, which contains the state of one run of the switch command. The agent and the run
 * exchange state through files and a kernel lock, because both can outlive the other process.
 *
 *   created -> claimed -> (activated) -> exit written
 *
 * - The agent creates the directory and starts the run. A run starts once, because only one caller can create
 *   the directory.
 * - The run takes the lock and holds the lock until its process ends. After taking the lock, the run writes
 *   the claim file.
 * - To cancel a run that has not begun, the agent writes the claim file. A run that finds the claim file
 *   never begins.
 * - A claim file without a held lock and without an exit file means that the run was killed. The run's state
 *   is then `lost`.
 */
import { type FSWatcher, watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { claimFile, readIfExists } from '../system/atomicfile.ts'
import { acquireFileLock } from '../system/filelock.ts'
import type { RunState } from './contract.ts'

export interface RunFiles {
  dir: string
  /** File with the output of the switch command. */
  log: string
  /** File lock that the run holds until its process ends. The kernel then releases the lock. */
  lock: string
  /**
   * File that the run creates when the run begins. The agent creates the file first to cancel a run that has
   * not begun.
   */
  claim: string
  /** File that exists once the run has begun activation. */
  activated: string
  /** File with the exit code, which the run writes at its end. */
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
 * Creates the directory of a run. The parent directory must exist.
 * @returns false if the run's directory already exists.
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
 * Takes the run's lock and then writes the run's claim file. The order matters, because a claim without a
 * held lock means that the run has ended. The function waits up to `lockLimitMs` for the lock, because a
 * process that checks the lock holds the lock for a moment.
 * @returns false if the run was begun or cancelled before.
 */
export async function beginRun(files: RunFiles, lockLimitMs: number): Promise<boolean> {
  return (
    (await acquireFileLock(files.lock, lockLimitMs)) !== null && (await claimFile(files.claim, 'started'))
  )
}

/** Reads the exit code of a run. Returns null if the run has not written the exit code. */
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
