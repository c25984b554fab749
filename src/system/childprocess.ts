/** Starts child processes, waits for their end and terminates them. */
import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { pollUntil, withTimeout } from './timeout.ts'

/** The exit code of a process, or the signal that ended it. */
export interface ExitStatus {
  code: number | null
  signal: NodeJS.Signals | null
}

export const describeExit = ({ code, signal }: ExitStatus) =>
  signal ? `was ended by ${signal}` : `ended with exit code ${code}`

/** Resolves when the process has ended; rejects if the process could not be started. */
export function exitOf(child: ChildProcess): Promise<ExitStatus> {
  const ending = new Promise<ExitStatus>((resolve, reject) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', reject)
  })
  // Without this handler, a rejection that no caller awaits would end the agent.
  ending.catch(() => {})
  return ending
}

/** Checks that a process exists. A zombie (ended, not yet reaped by its parent) counts as ended. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: the process exists, but belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return !isZombie(pid)
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Format: "pid (name) state …". The name may contain spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'Z'
  } catch {
    return false
  }
}

/** Sends a signal. @returns false if the process no longer exists. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}

/**
 * Terminates a process, which need not be a child of this one. Sends each signal in turn and waits up to its
 * limit.
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
  /** Open files, passed to the child as descriptors 3, 4, … */
  files?: number[]
  limitMs: number
}

export interface RunOutcome extends ExitStatus {
  /** The end of stdout and stderr together, at most 16 KiB. */
  output: string
}

const OUTPUT_KEPT_BYTES = 16 * 1024
const OUTPUT_LIMIT_MS = 2_000

/**
 * Runs a command and returns its exit status with the end of its output. Kills the command after `limitMs`.
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
  // Output can arrive after the exit event. The wait is limited because a grandchild can keep the pipe open.
  await withTimeout(closed, OUTPUT_LIMIT_MS)
  return { ...status, output: output.trim() }
}

/**
 * Starts a process in a session of its own, so that it outlives the agent.
 * @throws if it can't be started.
 */
export async function spawnDetached(command: string, args: string[], options: SpawnOptions): Promise<void> {
  const child = spawn(command, args, { ...options, detached: true })
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  child.unref()
}

export interface AgentChild {
  /** Settles with the exit status. */
  ended: Promise<ExitStatus>
  /** Sends SIGTERM. After `limitMs`, kills the whole process group. Resolves when the process has ended. */
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
 * Starts one of the agent's own processes, in its own process group: Ctrl-C in the terminal reaches only the
 * agent, which stops its parts in order. The IPC channel closes however the agent ends; then the child stops
 * itself.
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
    // The whole group, but only while the child runs: afterwards its id may belong to another process.
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
 * Runs a program in the terminal of this process and waits for its end.
 * @returns its exit code; null if there is no such program.
 */
export async function runInTerminal(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<number | null> {
  // Ctrl-C is meant for the program (in psql it cancels a statement), so this process ignores it.
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
