/** What systemd knows of an app's container. A machine without systemd knows nothing, and that is no error. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { splitLines } from '../../system/linereader.ts'
import type { UnitState } from '../contract.ts'

export interface SystemdCommands {
  systemctl: string
  journalctl: string
}

/** By app: the unit of one that the machine brings along itself. */
export type Provided = Record<string, string>

const ASK_LIMIT_MS = 5_000
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024

export const unitOf = (name: string, provided: Provided = {}): string =>
  provided[name] ?? `podman-${name}.service`

/** What it prints; null when it is missing, fails or takes too long. */
async function ask(command: string, args: string[]): Promise<Buffer | null> {
  try {
    const options = { timeout: ASK_LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES, encoding: 'buffer' as const }
    return (await promisify(execFile)(command, args, options)).stdout
  } catch {
    return null
  }
}

const UNKNOWN: UnitState = { state: 'unknown', exitCode: null, restarts: 0 }

/** @param unit see `unitOf` */
export async function unitState({ systemctl }: SystemdCommands, unit: string): Promise<UnitState> {
  const wanted = 'LoadState,ActiveState,SubState,ExecMainStatus,ExecMainExitTimestampMonotonic,NRestarts'
  const output = await ask(systemctl, ['show', unit, `--property=${wanted}`])
  if (!output) return UNKNOWN
  const pairs = output.toString('utf8').split('\n')
  const said = new Map(
    pairs.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const active = said.get('ActiveState')
  if (!active) return UNKNOWN
  const hasEnded = Number(said.get('ExecMainExitTimestampMonotonic') ?? 0) > 0
  return {
    state: stateOf(active, said.get('SubState') ?? ''),
    exitCode: hasEnded ? Number(said.get('ExecMainStatus') ?? 0) : null,
    restarts: Number(said.get('NRestarts') ?? 0) || 0,
  }
}

function stateOf(active: string, sub: string): UnitState['state'] {
  if (sub === 'auto-restart' || sub === 'auto-restart-queued') return 'backoff'
  return active === 'inactive' || active === 'failed' ? 'stopped' : 'running'
}

/** The last lines of the unit's journal; none when there is no journal, or we may not read it. */
export async function journalOf(
  { journalctl }: SystemdCommands,
  unit: string,
  lines: number,
): Promise<string[]> {
  const args = ['--unit', unit, '--lines', String(lines), '--output=cat', '--no-pager', '--quiet']
  const output = await ask(journalctl, args)
  return output ? splitLines(output, true).lines.slice(-lines) : []
}
