/** Finds the processes of an agent, and measures what they use. Works only on Linux. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { MARK } from '../../src/system/processgroup.ts'

/** Processor ticks per second in /proc/<pid>/stat. Linux has 100 on every processor that Node supports. */
const TICKS_PER_SECOND = 100

export interface TreeProcess {
  pid: number
  /** `postgres`, `app`, or the name of the agent's program, for example `relay`. */
  kind: string
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // The process has ended, or belongs to another user.
  }
}

const numbers = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name))

/** Returns the fields of /proc/<pid>/stat after the name, which can contain spaces. */
const statOf = (pid: number): string[] => read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? []

function kindOf(pid: number): string {
  if (read(`/proc/${pid}/comm`).startsWith('postgres')) return 'postgres'
  const mark = read(`/proc/${pid}/environ`)
    .split('\0')
    .find((each) => each.startsWith(`${MARK}=`))
  if (mark?.includes('/unit/')) return 'app'
  const script = read(`/proc/${pid}/cmdline`)
    .split('\0')
    .find((each) => each.endsWith('.ts'))
  return script ? basename(script, '.ts') : read(`/proc/${pid}/comm`).trim()
}

/**
 * Returns a process with all processes that it has started, directly or not. The process that has started the
 * supervisor has ended, so the supervisor is found by its argument, the data directory.
 */
export function processTree(root: number, dataDir: string): TreeProcess[] {
  const parents = new Map(numbers().map((name) => [Number(name), Number(statOf(Number(name))[1])]))
  const isSupervisor = (pid: number) => read(`/proc/${pid}/cmdline`).includes(`--state\0${dataDir}/host`)
  const isInTree = (pid: number): boolean =>
    pid === root || isSupervisor(pid) || (parents.has(pid) && isInTree(parents.get(pid) ?? 0))
  return [...parents.keys()]
    .filter((pid) => pid > 1 && isInTree(pid))
    .map((pid) => ({ pid, kind: kindOf(pid) }))
}

export interface Use {
  /** Voluntary context switches of all threads: each is a wait, which a wake-up ends. */
  wakeups: number
  /** Processor time in s, with that of child processes that have ended. */
  cpu: number
}

const field = (text: string, name: string) =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)

export function useOf(pid: number): Use {
  let wakeups = 0
  try {
    for (const task of readdirSync(`/proc/${pid}/task`))
      wakeups += field(read(`/proc/${pid}/task/${task}/status`), 'voluntary_ctxt_switches')
  } catch {
    // The process has ended.
  }
  const stat = statOf(pid)
  const cpu = [11, 12, 13, 14].reduce((sum, index) => sum + Number(stat[index] ?? 0), 0) / TICKS_PER_SECOND
  return { wakeups, cpu }
}

/** Returns the proportional set size of a process in bytes: its memory, with its share of shared memory. */
export const pssOf = (pid: number): number => field(read(`/proc/${pid}/smaps_rollup`), 'Pss') * 1024

/** Returns the sum of the values of all processes of each kind. */
export function byKind(tree: readonly TreeProcess[], value: (pid: number) => number): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { pid, kind } of tree) sums[kind] = (sums[kind] ?? 0) + value(pid)
  return sums
}
