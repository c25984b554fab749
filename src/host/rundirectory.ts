/**
 * Manages the directory with the log and exit code of one execution of the switch command (`nixos-rebuild
 * switch`, or switch.ts without NixOS). The agent and the process of the switch command exchange their
 * state through files and a lock, because each of them can be killed.
 *
 *   created -> claimed -> (activated) -> exit code written
 *
 * - The agent creates the directory and starts the process. The directory can be created only once, so the
 *   process is started only once.
 * - The process takes the lock, holds the lock until its end, and creates the claim file.
 * - To cancel a process that has not begun, the agent creates the claim file first. A process that finds the
 *   claim file ends at once.
 * - If there is a claim file, but no held lock and no exit code, the process was killed or cancelled.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { claimFile, readIfExists } from '../system/atomicfile.ts'
import { acquireFileLock } from '../system/filelock.ts'
import type { RunState } from './contract.ts'

export interface RunFiles {
  dir: string
  log: string
  /** File lock that the process of the switch command holds until its end. */
  lock: string
  /**
   * File that the process of the switch command creates when it begins. To cancel a process that has not
   * begun, the agent creates the file first; the process then ends at once.
   */
  claim: string
  /** File that exists when the activation has begun. */
  activated: string
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
 * Creates the directory.
 * @returns false if the directory already exists, which means that the process was started before.
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
 * Takes the lock and then creates the claim file. In the reverse order, the agent would find a claim file
 * without a held lock, and would regard the process as killed.
 * @returns false if the process was begun or cancelled before.
 */
export async function beginRun(files: RunFiles, lockLimitMs: number): Promise<boolean> {
  return (
    (await acquireFileLock(files.lock, lockLimitMs)) !== null && (await claimFile(files.claim, 'started'))
  )
}

export async function readExit(files: RunFiles): Promise<RunState | null> {
  const code = await readIfExists(files.exit)
  // An empty file, which a power failure can leave, is no exit code.
  return code !== null && /^\d+$/.test(code) ? { state: 'exited', exitCode: Number(code) } : null
}
