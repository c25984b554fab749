/** Starting, watching and ending processes. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { pollUntil, withTimeout } from './timeout.ts'

/** How a process ended: its exit code, or the signal that ended it. */
export interface ExitStatus {
  code: number | null
  signal: NodeJS.Signals | null
}

export const describeExit = ({ code, signal }: ExitStatus) =>
  signal ? `was ended by ${signal}` : `ended with exit code ${code}`

/** Resolves when the process has ended; rejects when it could not be started at all. */
export function exitOf(child: ChildProcess): Promise<ExitStatus> {
  const ending = new Promise<ExitStatus>((resolve, reject) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', reject)
  })
  // Whoever cares awaits it; nobody caring must not end the agent.
  ending.catch(() => {})
  return ending
}

/** Is there such a process? A zombie (ended, not yet collected by its parent) counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it exists, but belongs to someone else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return !isZombie(pid)
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // "pid (name) state …"; the name may contain blanks and brackets.
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'Z'
  } catch {
    return false
  }
}

/** Signals a process. @returns false when there is no such process any more. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}

/**
 * Ends a process that need not be our child: each signal in turn, each with its time to work.
 * @returns whether it is gone.
 */
export async function terminateProcess(pid: number, steps: [NodeJS.Signals, number][]): Promise<boolean> {
  for (const [name, limitMs] of steps) {
    if (!signal(pid, name)) return true
    if (await pollUntil(() => !isAlive(pid), limitMs)) return true
  }
  return false
}

export interface RunOptions {
  uid?: number | undefined
  gid?: number | undefined
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Open files that the child finds as descriptors 3, 4, … */
  files?: number[]
  limitMs: number
}

export interface RunOutcome extends ExitStatus {
  /** The end of what it wrote to both outputs, at most 16 KiB. */
  output: string
}

const OUTPUT_KEPT_BYTES = 16 * 1024
const OUTPUT_LIMIT_MS = 2_000

/**
 * Runs a command to its end and keeps the end of its output. Killed when the limit has passed.
 * @throws when the command can't be started.
 */
export async function run(command: string, args: string[], options: RunOptions): Promise<RunOutcome> {
  const { limitMs, files = [], ...rest } = options
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...files]
  const child = spawn(command, args, { ...rest, stdio })
  let output = ''
  const keep = (text: string) => {
    output = (output + text).slice(-OUTPUT_KEPT_BYTES)
  }
  child.stdout?.setEncoding('utf8').on('data', keep)
  child.stderr?.setEncoding('utf8').on('data', keep)
  const ending = exitOf(child)
  const closed = once(child, 'close').catch(() => {})
  if ((await withTimeout(ending, limitMs)) === undefined) {
    child.kill('SIGKILL')
    keep(`\n(stopped: it took longer than ${limitMs / 1000} s)`)
  }
  const how = await ending
  // Its output can arrive after the news of its end; a grandchild could keep the pipe open without end.
  await withTimeout(closed, OUTPUT_LIMIT_MS)
  return { ...how, output: output.trim() }
}

export interface AgentChild {
  /** How it ended. */
  ended: Promise<ExitStatus>
  /** Asks it to end, and ends it and all it started when it does not in time. */
  stop(limitMs: number): Promise<void>
  kill(): void
}

export interface AgentChildOptions {
  /** Absolute path of a script that Node runs. */
  script: string
  env: NodeJS.ProcessEnv
  onMessage(message: unknown): void
}

/**
 * Starts one of the agent's own processes. In a process group of its own: Ctrl-C in the terminal reaches only us, and
 * we stop things in order. Its channel to us closes when we die, however we die; that is its sign to stop.
 */
export function startChild({ script, env, onMessage }: AgentChildOptions): AgentChild {
  const child = spawn(process.execPath, [script], {
    env,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.on('message', onMessage)
  const ended = exitOf(child).catch((): ExitStatus => ({ code: null, signal: null }))
  const kill = () => {
    // The whole group, but only while it is certainly ours.
    if (child.pid && child.exitCode === null && child.signalCode === null) signal(-child.pid, 'SIGKILL')
  }
  async function stop(limitMs: number): Promise<void> {
    child.kill('SIGTERM')
    if ((await withTimeout(ended, limitMs)) === undefined) kill()
    await ended
  }
  return { ended, stop, kill }
}

/**
 * Gives the terminal to a program until it ends.
 * @returns its exit code; null when there is no such program.
 */
export async function runInTerminal(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<number | null> {
  // Ctrl-C is meant for the program (psql: give up this statement), not for us.
  const ignore = () => {}
  process.on('SIGINT', ignore)
  try {
    const { code } = await exitOf(spawn(command, args, { env, stdio: 'inherit' }))
    return code ?? 1
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  } finally {
    process.off('SIGINT', ignore)
  }
}
