/**
 * Manages the directory of one run of the switch command. The agent and the run exchange their state through
 * files and a lock, because each of them can be killed.
 *
 *   created -> claimed -> (activated) -> exit written
 *
 * - The agent creates the directory and starts the run. Only one caller can create the directory, so a run
 *   starts once.
 * - The run takes the lock, holds the lock until its process ends, and writes the claim file.
 * - To cancel a run that has not begun, the agent writes the claim file. A run that finds the claim file does
 *   not begin.
 * - If the claim file exists without a held lock and without an exit file, the run was killed.
 */
import { type FSWatcher, watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { claimFile, readIfExists } from '../system/atomicfile.ts'
import { acquireFileLock } from '../system/filelock.ts'
import type { RunState } from './contract.ts'

export interface RunFiles {
  dir: string
  /** File with the output of the run. */
  log: string
  /** File lock that the run holds while its process lives. */
  lock: string
  /**
   * File that the run creates at its beginning. If the agent creates the file first, the run never begins.
   */
  claim: string
  /** File that exists when the activation has begun. */
  activated: string
  /** File with the exit code of the run. */
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
 * Creates the directory of a run.
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
 * Takes the lock of a run and then writes the claim file, because a claim file without a held lock means that
 * the run has ended. Waits up to `lockLimitMs` for the lock.
 * @returns false if the run was begun or cancelled before.
 */
export async function beginRun(files: RunFiles, lockLimitMs: number): Promise<boolean> {
  return (
    (await acquireFileLock(files.lock, lockLimitMs)) !== null && (await claimFile(files.claim, 'started'))
  )
}

/** Reads the exit code of a run. Returns null if there is no exit code yet. */
export async function readExit(files: RunFiles): Promise<RunState | null> {
  const code = await readIfExists(files.exit)
  return code === null ? null : { state: 'exited', exitCode: Number(code) }
}

/**
 * Calls `onChange` when a file in the directory of a run changes. Errors are ignored, because the caller also
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
