/** Runs `nixos-rebuild`, and can stop it until the activation of the new system begins. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitOf } from '../../system/childprocess.ts'
import { sendSignal } from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'

const POLL_MS = 100
/** Time in ms between SIGTERM and SIGKILL, in which Nix deletes unfinished builds. */
const TERM_LIMIT_MS = 5_000
/** Exit code that shells use for a program that was not found. */
const EXIT_CANNOT_START = 127
/** If a signal ended a process, shells use the number of the signal plus 128 as the exit code. */
const EXIT_OF_SIGNAL = 128

export interface Supervision {
  output: number
  /** True if the command runs as root, although this program has dropped its root privileges. */
  asRoot: boolean
  hasActivated(): Promise<boolean>
  onActivated(): Promise<void>
  mustStop(): boolean
  writeLine(line: string): void
}

/** Runs the command to its end. Returns the exit code that a shell would return. */
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
 * Stops the command and its child processes with SIGTERM, then with SIGKILL. SIGKILL is not sent if the
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
