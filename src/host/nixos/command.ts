/**
 * Runs `nixos-rebuild` and detects the start of the activation, after which the command must not be stopped.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitOf } from '../../system/childprocess.ts'
import { sendSignal } from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'

/** Interval in ms between two checks for a stop request and for the start of the activation. */
const POLL_MS = 100
/** Time in ms between SIGTERM and SIGKILL, in which Nix deletes half-built outputs. */
const TERM_LIMIT_MS = 5_000
/** Exit code that shells use for a program that can't be started. */
const EXIT_CANNOT_START = 127
/** Number that shells add to a signal's number to get the exit code of a process that the signal ended. */
const EXIT_OF_SIGNAL = 128

export interface Supervision {
  /** File descriptor that receives the command's output. */
  output: number
  /** True if the command runs as root, although this program itself has the rights of the agent's user. */
  asRoot: boolean
  hasActivated(): Promise<boolean>
  /** Called once, when the activation has begun. */
  onActivated(): Promise<void>
  mustStop(): boolean
  /** Appends a line to the run's log. */
  writeLine(line: string): void
}

/**
 * Runs `nixos-rebuild` to its end.
 * @returns the exit code that a shell would return.
 */
export async function superviseCommand(
  [program, ...args]: [string, ...string[]],
  supervision: Supervision,
): Promise<number> {
  const { output, asRoot, writeLine } = supervision
  let stopped = false
  const stop = () => {
    stopped = true
  }
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, stop)
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', output, output],
    ...(asRoot && { uid: 0, gid: 0 }),
  })
  const ending = exitOf(child)
  try {
    await supervise(child, ending, { ...supervision, mustStop: () => stopped || supervision.mustStop() })
    const { code, signal } = await ending
    return code ?? EXIT_OF_SIGNAL + (signal ? constants.signals[signal] : 0)
  } catch (error) {
    writeLine(`error: ${program} can't be started: ${(error as Error).message}`)
    return EXIT_CANNOT_START
  }
}

async function supervise(
  child: ChildProcess,
  ending: Promise<unknown>,
  { hasActivated, onActivated, mustStop }: Supervision,
): Promise<void> {
  let activated = false
  for (let ended = false; !ended; ) {
    ended = await Promise.race([ending.then(() => true), sleep(POLL_MS, false)])
    if (activated) continue
    activated = await hasActivated()
    if (activated) await onActivated()
    else if (mustStop() && !ended) await endCommand(child, ending, hasActivated)
  }
}

/**
 * Ends the process group of the command with SIGTERM and later SIGKILL. Does not send SIGKILL if the
 * activation has begun in the meantime.
 */
async function endCommand(
  child: ChildProcess,
  ending: Promise<unknown>,
  hasActivated: () => Promise<boolean>,
): Promise<void> {
  const group = -(child.pid ?? 0)
  if (group === 0) return
  let ended = false
  void ending.finally(() => {
    ended = true
  })
  sendSignal(group, 'SIGTERM')
  await pollUntil(async () => ended || (await hasActivated()), TERM_LIMIT_MS)
  if (!(await hasActivated())) sendSignal(group, 'SIGKILL')
}
