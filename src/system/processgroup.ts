/**
 * Finds and terminates processes that the agent started, even if their parent process was killed.
 *
 * Every process that the agent starts has a process mark, which is an environment variable that child
 * processes inherit. A stored process id is not enough to find a process, because the kernel can give the id
 * of an ended process to another program.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { sep } from 'node:path'
import { promisify } from 'node:util'
import { readOrCreate } from './atomicfile.ts'
import { pollUntil } from './timeout.ts'

/** Name of the environment variable that contains the process mark. */
export const MARK = 'BLOUD_MARK'
/**
 * Time in ms within which processes must end after SIGKILL. A process can need longer only if it hangs in the
 * kernel.
 */
const KILL_LIMIT_MS = 5_000
const PS_LIMIT_MS = 5_000
const PS_MAX_BYTES = 16 * 1024 * 1024

export interface ProcessGroup {
  /**
   * Process group id. Left out after the first process of the group has ended, because the kernel can then
   * give the id to another group.
   */
  pgid?: number
  /** Values of the process mark. The value `a` also matches longer values such as `a/b`. */
  marks: string[]
  /**
   * Folder: processes that work in the folder or in one of its subfolders belong to the group. Finds
   * processes that have left the process group and removed the mark. Only on Linux.
   */
  directory?: string
}

interface Process {
  pid: number
  pgid: number
  mark: string | null
  cwd: string
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * Returns the random process mark that is stored in the file `path`. Creates the file if it is missing or
 * damaged. A file is damaged only by a power failure, after which no process with an older mark is left.
 */
export function readMark(path: string): Promise<string> {
  return readOrCreate(path, randomUUID, (content) => UUID.test(content))
}

/** Returns the ids of the running processes of a group. The calling process is left out. */
export async function membersOf(group: ProcessGroup): Promise<number[]> {
  const all = process.platform === 'linux' ? await fromProc(group.directory !== undefined) : await fromPs()
  return all
    .filter(({ pid }) => pid !== process.pid)
    .filter((each) => belongs(each, group))
    .map(({ pid }) => pid)
}

function belongs(candidate: Process, group: ProcessGroup): boolean {
  if (candidate.pgid === group.pgid) return true
  if (group.directory && `${candidate.cwd}${sep}`.startsWith(group.directory + sep)) return true
  return group.marks.some((mark) => candidate.mark === mark || candidate.mark?.startsWith(`${mark}/`))
}

/**
 * Sends SIGTERM to the processes of a group, and SIGKILL after `termLimitMs`. Resolves when all processes
 * have ended.
 * @throws if a process can't be killed.
 */
export async function terminateGroup(group: ProcessGroup, termLimitMs: number): Promise<void> {
  const haveEnded = async () => (await membersOf(group)).length === 0
  await signalGroup(group, 'SIGTERM')
  if (await pollUntil(haveEnded, termLimitMs)) return
  await killGroup(group)
}

/**
 * Sends SIGKILL until no process of the group is left. A process can start another process between the search
 * and the signal, so one signal may not be enough.
 */
export async function killGroup(group: ProcessGroup): Promise<void> {
  const haveEnded = await pollUntil(async () => (await signalGroup(group, 'SIGKILL')) === 0, KILL_LIMIT_MS)
  if (!haveEnded) throw new Error(`Processes ${(await membersOf(group)).join(', ')} can't be killed`)
}

async function signalGroup(group: ProcessGroup, signal: NodeJS.Signals): Promise<number> {
  const members = await membersOf(group)
  for (const pid of members) sendSignal(pid, signal)
  return members.length
}

/** Sends a signal to a process. Does nothing if the process has ended. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function fromProc(withDirectory: boolean): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(pids.map((pid) => readProc(pid, withDirectory)))
  return found.filter((each) => each !== null)
}

async function readProc(pid: string, withDirectory: boolean): Promise<Process | null> {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8') // is in memory, unlike the environment
    // The line has the format "1 (name) S ppid pgrp …". The name may contain spaces and parentheses.
    const [state, , pgid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Threads of the kernel are in group 0. There are often more of them than processes.
    if (state === 'Z' || state === 'X' || pgid === '0') return null
    const cwd = withDirectory ? await readlink(`/proc/${pid}/cwd`).catch(() => '') : ''
    return { pid: Number(pid), pgid: Number(pgid), mark: markIn(await readEnviron(pid), '\0'), cwd }
  } catch {
    return null // The process ended during the search.
  }
}

/**
 * Reads the environment of a process. Returns an empty string for a process of another user, whose
 * environment is not readable.
 */
async function readEnviron(pid: string): Promise<string> {
  return readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
}

/**
 * Lists processes with `ps` on systems other than Linux. The option `e` prints the environment variables of
 * each process, which contain the process mark.
 */
async function fromPs(): Promise<Process[]> {
  const args = ['axeww', '-o', 'pid=,pgid=,stat=,command=']
  const { stdout } = await promisify(execFile)('ps', args, { timeout: PS_LIMIT_MS, maxBuffer: PS_MAX_BYTES })
  return stdout.split('\n').flatMap((line) => {
    const [, pid, pgid, stat, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    if (!pid || !stat || stat.startsWith('Z')) return []
    return [{ pid: Number(pid), pgid: Number(pgid), mark: markIn(command ?? '', ' '), cwd: '' }]
  })
}

function markIn(environment: string, separator: string): string | null {
  const entry = environment.split(separator).find((variable) => variable.startsWith(`${MARK}=`))
  return entry ? entry.slice(MARK.length + 1) : null
}
