/**
 * Finding and ending processes we started, even those whose parent was killed.
 *
 * A process id alone says little: it may long belong to someone else. So each process we start carries a mark in its
 * environment, which its children inherit; whoever has the mark is ours, whoever has not is left alone.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { claimFile, readIfExists } from './atomicfile.ts'
import { pollUntil } from './timeout.ts'

/** The environment variable that holds the mark. */
export const MARK = 'BLOUD_MARK'
/** After SIGKILL the kernel needs a moment; more than this means it hangs in the kernel. */
const KILL_LIMIT_MS = 5_000
const PS_LIMIT_MS = 5_000
const PS_MAX_BYTES = 16 * 1024 * 1024

export interface ProcessGroup {
  /** Leader of the process group, where we still know it to be ours (its own child). */
  pgid?: number
  /** Whole marks, or their beginnings up to a slash. */
  marks: string[]
}

interface Process {
  pid: number
  pgid: number
  mark: string | null
}

/** The random word of this state directory; made once. */
export async function readMark(path: string): Promise<string> {
  await claimFile(path, randomUUID())
  const mark = await pollUntil(() => readIfExists(path), KILL_LIMIT_MS)
  if (!mark) throw new Error(`${path} is empty; remove it`)
  return mark
}

/** Live processes (no zombies) of a group, without this one. */
export async function membersOf(group: ProcessGroup): Promise<number[]> {
  const all = process.platform === 'linux' ? await fromProc() : await fromPs()
  return all.filter((one) => one.pid !== process.pid && belongs(one, group)).map((one) => one.pid)
}

function belongs(one: Process, group: ProcessGroup): boolean {
  if (one.pgid === group.pgid) return true
  return group.marks.some((mark) => one.mark === mark || one.mark?.startsWith(`${mark}/`))
}

/** SIGTERM, a while to leave, SIGKILL. Resolves when none is left. @throws if some can't be ended. */
export async function terminateGroup(group: ProcessGroup, termLimitMs: number): Promise<void> {
  const gone = async () => (await membersOf(group)).length === 0
  await signalGroup(group, 'SIGTERM')
  if (await pollUntil(gone, termLimitMs)) return
  await killGroup(group)
}

/** SIGKILL until none is left: a process may have been forking while we looked. */
export async function killGroup(group: ProcessGroup): Promise<void> {
  const gone = await pollUntil(async () => (await signalGroup(group, 'SIGKILL')) === 0, KILL_LIMIT_MS)
  if (!gone) throw new Error(`Processes ${(await membersOf(group)).join(', ')} can't be killed`)
}

async function signalGroup(group: ProcessGroup, signal: NodeJS.Signals): Promise<number> {
  const members = await membersOf(group)
  for (const pid of members) sendSignal(pid, signal)
  return members.length
}

/** A signal to one that has just ended is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function fromProc(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(pids.map(readProc))
  return found.filter((one) => one !== null)
}

async function readProc(pid: string): Promise<Process | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // "1 (any name) S ppid pgrp …": the name may hold spaces and brackets, so read from its end.
    const [state, , pgid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z' || state === 'X') return null
    return { pid: Number(pid), pgid: Number(pgid), mark: markIn(await readEnviron(pid), '\0') }
  } catch {
    return null // Ended while we looked.
  }
}

/** Empty for processes of others, which we could not have started. */
async function readEnviron(pid: string): Promise<string> {
  return readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
}

/** macOS and the BSDs: `e` adds the environment to the command, for our own processes. */
async function fromPs(): Promise<Process[]> {
  const args = ['axeww', '-o', 'pid=,pgid=,stat=,command=']
  const { stdout } = await promisify(execFile)('ps', args, { timeout: PS_LIMIT_MS, maxBuffer: PS_MAX_BYTES })
  return stdout.split('\n').flatMap((line) => {
    const [, pid, pgid, stat, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    if (!pid || !stat || stat.startsWith('Z')) return []
    return [{ pid: Number(pid), pgid: Number(pgid), mark: markIn(command ?? '', ' ') }]
  })
}

function markIn(environment: string, separator: string): string | null {
  const entry = environment.split(separator).find((one) => one.startsWith(`${MARK}=`))
  return entry ? entry.slice(MARK.length + 1) : null
}
