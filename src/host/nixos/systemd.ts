/**
 * Reads the state and the log of an app's container from systemd. On a machine without systemd, the state is
 * `unknown`.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { own } from '../../domain/record.ts'
import { splitLines } from '../../system/linereader.ts'
import { monotonicMs } from '../../system/monotonic.ts'
import type { UnitState } from '../contract.ts'

export interface SystemdCommands {
  systemctl: string
  journalctl: string
}

/**
 * Systemd units, by app name, of apps that are a service of the machine and have no container, such as
 * PostgreSQL.
 */
export type Provided = Record<string, string>

const COMMAND_LIMIT_MS = 5_000
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024

export const unitOf = (name: string, provided: Provided = {}): string =>
  own(provided, name) ?? `podman-${name}.service`

async function outputOf(command: string, args: string[]): Promise<Buffer | null> {
  try {
    const options = { timeout: COMMAND_LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES, encoding: 'buffer' as const }
    return (await promisify(execFile)(command, args, options)).stdout
  } catch {
    return null
  }
}

const UNKNOWN: UnitState = { state: 'unknown', exitCode: null, restarts: 0, series: null, startedMsAgo: null }
const PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'ExecMainStatus',
  'ExecMainExitTimestampMonotonic',
  'NRestarts',
  'InactiveExitTimestampMonotonic',
  'ActiveEnterTimestampMonotonic',
]

export async function unitState({ systemctl }: SystemdCommands, unit: string): Promise<UnitState> {
  const output = await outputOf(systemctl, ['show', unit, `--property=${PROPERTIES}`])
  if (!output) return UNKNOWN
  const pairs = output.toString('utf8').split('\n')
  const properties = new Map(
    pairs.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const active = properties.get('ActiveState')
  if (!active) return UNKNOWN
  const number = (name: string) => Number(properties.get(name) ?? 0) || 0
  const restarts = number('NRestarts')
  // Times are in microseconds of the monotonic clock, and 0 if the unit has not been started since the boot.
  const begin = Math.max(number('InactiveExitTimestampMonotonic'), number('ActiveEnterTimestampMonotonic'))
  return {
    state: stateOf(active, properties.get('SubState') ?? ''),
    exitCode: number('ExecMainExitTimestampMonotonic') > 0 ? number('ExecMainStatus') : null,
    restarts,
    series: null,
    startedMsAgo: begin > 0 && restarts === 0 ? monotonicMs() - begin / 1000 : null,
  }
}

function stateOf(active: string, sub: string): UnitState['state'] {
  if (sub === 'auto-restart' || sub === 'auto-restart-queued') return 'backoff'
  return active === 'inactive' || active === 'failed' ? 'stopped' : 'running'
}

/** Returns an empty list if the log can't be read. */
export async function journalOf(
  { journalctl }: SystemdCommands,
  unit: string,
  lines: number,
): Promise<string[]> {
  const args = ['--unit', unit, '--lines', String(lines), '--output=cat', '--no-pager', '--quiet']
  const output = await outputOf(journalctl, args)
  return output ? splitLines(output, true).lines.slice(-lines) : []
}
