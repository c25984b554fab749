/** Starts child processes, waits for their end and terminates them. */
import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { NODE_FLAGS } from './nodeflags.ts'
import { pollUntil, withTimeout } from './timeout.ts'

export interface ExitStatus {
  code: number | null
  signal: NodeJS.Signals | null
}

export const describeExit = ({ code, signal }: ExitStatus) =>
  signal ? `was ended by ${signal}` : `ended with exit code ${code}`

/**
 * Waits for the end of a child process and returns the exit status. Rejects if the process could not be
 * started.
 */
export function exitOf(child: ChildProcess): Promise<ExitStatus> {
  const ending = new Promise<ExitStatus>((resolve, reject) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', reject)
  })
  // Node ends a process after an unhandled rejection. This handler prevents that if no caller awaits the
  // promise.
  ending.catch(() => {})
  return ending
}

/** True if a process runs. A zombie (an ended process that still has a process id) does not count. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // The error EPERM means that the process exists but belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return !isZombie(pid)
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The line has the format "pid (name) state …". The name may contain spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'Z'
  } catch {
    return false
  }
}

/**
 * Sends a signal to a process.
 * @returns false if the process no longer exists.
 */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}

/**
 * Terminates a process, which need not be a child process. Sends the signals in `steps` in turn, and after
 * each signal waits the given number of ms for the end of the process.
 * @returns true if the process has ended.
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
  /** Open files that the child process receives as descriptors 3, 4, … */
  files?: number[]
  limitMs: number
}

export interface RunOutcome extends ExitStatus {
  /** Last 16 KiB of the output of the command, stdout and stderr together. */
  output: string
}

const OUTPUT_KEPT_BYTES = 16 * 1024
const OUTPUT_LIMIT_MS = 2_000

/**
 * Runs a command and returns the exit status and the end of the output. Kills the command after `limitMs`.
 * @throws if the command can't be started.
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
  const status = await ending
  // Output can arrive after the exit event, so the end of the output is awaited. This wait has a time limit,
  // because a process that the command started can keep the pipe open.
  await withTimeout(closed, OUTPUT_LIMIT_MS)
  return { ...status, output: output.trim() }
}

/**
 * Starts a process that continues to run when the agent ends.
 * @throws if the process can't be started.
 */
export async function spawnDetached(command: string, args: string[], options: SpawnOptions): Promise<void> {
  const child = spawn(command, args, { ...options, detached: true })
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  child.unref()
}

export interface AgentChild {
  send(message: object): void
  ended: Promise<ExitStatus>
  /**
   * Sends SIGTERM to the child process. After `limitMs`, sends SIGKILL to the child process and to all
   * processes in its group.
   */
  stop(limitMs: number): Promise<void>
  kill(): void
}

export interface AgentChildOptions {
  /** Absolute path of the script that Node runs. */
  script: string
  env: NodeJS.ProcessEnv
  /**
   * Text that the child reads from an open descriptor, which no other process can read. The environment
   * variable `variable` names the descriptor as a file, /dev/fd/4. The child waits there for the text.
   */
  passed?: { variable: string; content: Promise<string> }
  onMessage(message: unknown): void
}

const PASSED_DESCRIPTOR = 4

/**
 * Starts a script as a child process in its own process group, so that Ctrl-C in the terminal reaches only
 * the agent. If the agent is killed, the IPC channel closes and the child process stops itself.
 */
export function startChild({ script, env, passed, onMessage }: AgentChildOptions): AgentChild {
  const child = spawn(process.execPath, [...NODE_FLAGS, script], {
    env: passed ? { ...env, [passed.variable]: `/dev/fd/${PASSED_DESCRIPTOR}` } : env,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
  })
  const pipe = child.stdio[PASSED_DESCRIPTOR] as Writable
  pipe.on('error', () => {}) // The child has ended before it has read the text.
  void Promise.resolve(passed?.content).then((text) => pipe.end(text))
  child.on('message', onMessage)
  const ended = exitOf(child).catch((): ExitStatus => ({ code: null, signal: null }))
  const kill = () => {
    // After the end of the child process, the kernel can give its id to another process, which must not be
    // killed.
    if (child.pid && child.exitCode === null && child.signalCode === null) signal(-child.pid, 'SIGKILL')
  }
  async function stop(limitMs: number): Promise<void> {
    child.kill('SIGTERM')
    if ((await withTimeout(ended, limitMs)) === undefined) kill()
    await ended
  }
  // A message is lost if the child has ended, which `ended` reports.
  return { send: (message) => void child.send(message, () => undefined), ended, stop, kill }
}

/**
 * Runs a program in the terminal of this process and waits for the program's end.
 * @returns the exit code, or null if the program does not exist.
 */
export async function runInTerminal(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<number | null> {
  // This process ignores Ctrl-C, because Ctrl-C is meant for the program. In psql, for example, Ctrl-C
  // cancels a statement.
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
