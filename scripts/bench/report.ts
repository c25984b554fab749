/** Statistics and output of the benchmarks. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { BETTER_SSE } from './peer.ts'

/** Upper limit of the load of a machine on which nothing else runs. */
const QUIET_LOAD = 0.5
/** Load of the machine in the minute before the benchmark. Read first, because a benchmark is load itself. */
const LOAD_BEFORE = loadavg()[0] ?? 0
const quiet = LOAD_BEFORE <= QUIET_LOAD
const WARNING = `⚠ The machine is not quiet: its load was ${LOAD_BEFORE.toFixed(2)} before the benchmark (quiet: ${QUIET_LOAD}).`
if (!quiet) console.warn(WARNING)

const sorted = (values: number[]) => [...values].sort((a, b) => a - b)
export const median = (values: number[]): number =>
  sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN
export const quantile = (values: number[], part: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? Number.NaN

const short = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3))
export const spread = (values: number[]): string =>
  values.length === 0
    ? 'none'
    : `${short(median(values))} (${short(Math.min(...values))}–${short(Math.max(...values))})`

function version(command: string, ...args: string[]): string {
  try {
    return execFileSync('bash', ['-c', `${command} ${args.join(' ')} 2>&1`], { encoding: 'utf8' }).trim()
  } catch {
    return 'not installed'
  }
}

export const machine = () => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: version('uname', '-r'),
  node: process.version,
  nginx: version('nginx', '-v'),
  nchan: version('dpkg-query', '-W', 'libnginx-mod-nchan'),
  betterSse: BETTER_SSE,
  loadavg: readFileSync('/proc/loadavg', 'utf8').trim(),
  date: new Date().toISOString(),
})

export function report(
  name: string,
  settings: object,
  rows: Record<string, string>[],
  numbers: unknown,
): void {
  console.log(`\n${name}  ${JSON.stringify(settings)}`)
  console.table(rows)
  if (!quiet) console.log(WARNING)
  const before = { quiet, loadBefore: LOAD_BEFORE }
  console.log(JSON.stringify({ name, ...before, machine: machine(), settings, rows, numbers }))
}
