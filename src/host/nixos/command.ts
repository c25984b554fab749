/** Runs the rebuild command to its end, and watches over the point from which it must not be stopped any more. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitOf } from '../../system/childprocess.ts'
import { sendSignal } from '../../system/processgroup.ts'
import { pollUntil } from '../../system/timeout.ts'

/** How soon a request to stop and a new profile are noticed. */
const LOOK_MS = 100
/** Nix removes what it has half built on SIGTERM; then SIGKILL. */
const TERM_LIMIT_MS = 5_000
const EXIT_CANNOT_START = 127
const EXIT_OF_SIGNAL = 128

export interface Supervision {
  /** An open file. */
  output: number
  /** Our own effective user is another one, but the command is to run as root. */
  asRoot: boolean
  hasActivated(): Promise<boolean>
  /** Called once, before anything else that follows from it. */
  onActivated(): Promise<void>
  mustStop(): boolean
  say(line: string): void
}

/** @returns the exit code, as a shell would give it. */
export async function superviseCommand(
  [program, ...args]: [string, ...string[]],
  supervision: Supervision,
): Promise<number> {
  const { output, asRoot, say } = supervision
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
    await watchOver(child, ending, { ...supervision, mustStop: () => stopped || supervision.mustStop() })
    const { code, signal } = await ending
    return code ?? EXIT_OF_SIGNAL + (signal ? constants.signals[signal] : 0)
  } catch (error) {
    say(`error: ${program} can't be started: ${(error as Error).message}`)
    return EXIT_CANNOT_START
  }
}

async function watchOver(
  child: ChildProcess,
  ending: Promise<unknown>,
  { hasActivated, onActivated, mustStop }: Supervision,
): Promise<void> {
  let activated = false
  for (let ended = false; !ended; ) {
    ended = await Promise.race([ending.then(() => true), sleep(LOOK_MS, false)])
    if (activated) continue
    activated = await hasActivated()
    if (activated) await onActivated()
    else if (mustStop() && !ended) await endCommand(child, ending, hasActivated)
  }
}

/** The whole process group, which is certainly ours until its leader is collected. Not if it activates instead of leaving. */
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
