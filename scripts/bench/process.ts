/** Child processes of the benchmarks, their folder, and the resources that a process has used. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const HERE = import.meta.dirname
export const FOLDER = mkdtempSync(join(tmpdir(), 'bloud-bench-'))
const children = new Set<ChildProcess>()
const START_LIMIT_MS = 30_000

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(FOLDER, { recursive: true, force: true })
})

/**
 * Returns the time of CLOCK_MONOTONIC in µs. The load client uses the same clock, so the times can be
 * compared.
 */
export const nowUs = (): number => Number(process.hrtime.bigint() / 1000n)

export function start(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

export async function line(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const [text] = await once(lines, 'line', { signal: AbortSignal.timeout(START_LIMIT_MS) })
  lines.close()
  return text
}

/** Returns the processor time of a process in s: all of it, and the part outside the kernel. */
export function timesOf(pid: number): { all: number; user: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return { all: (Number(fields[11]) + Number(fields[12])) / 100, user: Number(fields[11]) / 100 }
}
export const cpuOf = (pid: number): number => timesOf(pid).all

export function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}
