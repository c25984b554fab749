/**
 * Finds the failed apps and the reason of the failure in the output of `nixos-rebuild`. Nix prints an error's
 * message before the trace (up to version 2.18) or after the trace (since version 2.19).
 */
import { own } from '../../domain/record.ts'
import type { RunFailure, RunResult } from '../contract.ts'

const EXIT_LOCK_HELD = 75
export const EXIT_UNITS_FAILED = 4
const EXIT_NEEDS_REBOOT = 100
/**
 * Exit codes that `nixos-rebuild` uses for several kinds of failures, so the reason must be read from the
 * output.
 */
const UNSPECIFIC = new Set([1, 2])
const LOG_LINES = 40
const MAX_MESSAGE_CHARACTERS = 1_000

const LOCK_HELD = /could not acquire lock|cannot acquire lock/i
const UNITS_FAILED = /^(?:switch-to-configuration: )?warning: the following units failed: (.+)$/
const BUILD_BEGINS =
  /^(?:these \d+ derivations will be built|this derivation will be built|building '\/nix\/store\/)/
const BUILD_FAILED =
  /builder for '([^']+)' failed|[Cc]annot build '([^']+)'|hash mismatch in fixed-output derivation '([^']+)'/

/**
 * Replaces the exit codes 1 and 2 by a more precise exit code if the output shows the reason of the failure.
 */
export function trueExitCode(code: number, lines: readonly string[]): number {
  if (!UNSPECIFIC.has(code)) return code
  if (lines.some((line) => UNITS_FAILED.test(line))) return EXIT_UNITS_FAILED
  return lines.some((line) => LOCK_HELD.test(line)) ? EXIT_LOCK_HELD : code
}

/**
 * Returns which of `apps` failed, with the reasons. If no failed app can be identified, `cause` is the reason
 * of the failure.
 */
export function readOutcome(
  lines: readonly string[],
  code: number | null,
  apps: readonly string[],
): RunResult {
  if (code === 0) return { failures: {} }
  const units = failedUnits(lines, apps)
  if (units) return units
  if (code === EXIT_NEEDS_REBOOT) {
    const message = 'The new system is set for the next start of this machine: restart it to switch to it.'
    return { failures: {}, cause: { class: 'activate', message, log: lines.slice(-LOG_LINES) } }
  }
  const blocks = errorBlocks(lines)
  const build = blocks.filter((block) => BUILD_FAILED.test(block.text))
  const failing = build.length > 0 ? build : blocks.slice(-1)
  const isBuild = build.length > 0 || lines.some((line) => BUILD_BEGINS.test(line))
  const failures: Record<string, RunFailure> = {}
  for (const block of failing) {
    const failure = failureOf(block, isBuild ? 'build' : 'evaluate')
    for (const app of namedIn(block, apps, isBuild)) if (!own(failures, app)) failures[app] = failure
  }
  const first = failing[0]
  if (Object.keys(failures).length > 0 || !first) return { failures }
  return { failures, cause: failureOf(first, isBuild ? 'build' : 'evaluate') }
}

interface ErrorBlock {
  lines: string[]
  text: string
  message: string
}

/**
 * Returns the parts of the output that are error messages of Nix. An error begins with `error:` and ends
 * before text that is not indented.
 */
function errorBlocks(lines: readonly string[]): ErrorBlock[] {
  const blocks: string[][] = []
  let open: string[] | null = null
  for (const line of lines) {
    if (line.startsWith('error:')) {
      open = [line]
      blocks.push(open)
    } else if (open && (line.trim() === '' || /^\s/.test(line))) open.push(line)
    else open = null
  }
  return blocks.map((block) => ({ lines: block, text: block.join('\n'), message: messageOf(block) }))
}

/**
 * Returns the message of an error without the trace. Since Nix 2.19, the message begins at the last indented
 * `error:`.
 */
function messageOf(block: string[]): string {
  const inner = block.findLastIndex((line) => /^\s+error:(?: |$)/.test(line))
  const from = block.slice(Math.max(0, inner))
  const end = from.findIndex(
    (line, index) => index > 0 && (line.trim() === '' || /^\s+(?:…|at |> )/.test(line)),
  )
  const words = from.slice(0, end < 0 ? from.length : end).map((line) => line.trim())
  const message = words.join(' ').replace(/^error:\s*/, '')
  return message.slice(0, MAX_MESSAGE_CHARACTERS) || 'Nix printed no reason'
}

function failureOf(block: ErrorBlock, kind: 'evaluate' | 'build'): RunFailure {
  return { class: kind, message: block.message, log: block.lines.slice(0, LOG_LINES) }
}

/**
 * Returns the apps that the message of an error names. If the message names no app, returns the app that the
 * trace names, unless the trace names several apps.
 */
function namedIn(block: ErrorBlock, apps: readonly string[], isBuild: boolean): string[] {
  const inMessage = apps.filter((app) => names(block.message, app))
  if (inMessage.length > 0 || isBuild) return inMessage
  const inTrace = apps.filter((app) => names(block.text, app))
  return inTrace.length === 1 ? inTrace : []
}

/**
 * True if the text contains the app as part of a NixOS option, container or systemd unit. The app `x` must
 * not match in `x-y`.
 */
function names(text: string, app: string): boolean {
  return new RegExp(
    `(?:bloud\\.apps\\."?|containers\\."?(?:bloud-)?|podman-|bloud: "?)${app}(?![a-z0-9-])`,
  ).test(text)
}

/**
 * Returns the failed apps from the list of failed systemd units that the activation prints. Returns null if
 * there is no list.
 */
function failedUnits(lines: readonly string[], apps: readonly string[]): RunResult | null {
  const at = lines.findLastIndex((line) => UNITS_FAILED.test(line))
  if (at < 0) return null
  const units = (UNITS_FAILED.exec(lines[at] ?? '')?.[1] ?? '').split(',').map((unit) => unit.trim())
  const status = lines.slice(at + 1)
  const failures: Record<string, RunFailure> = {}
  for (const app of apps) {
    const unit = `podman-${app}.service`
    if (!units.includes(unit)) continue
    failures[app] = { class: 'activate', message: `${unit} failed to start`, log: statusOf(status, unit) }
  }
  if (Object.keys(failures).length > 0) return { failures }
  const message = `The new system is active, but these units failed to start: ${units.join(', ')}`
  return { failures, cause: { class: 'activate', message, log: lines.slice(at).slice(0, LOG_LINES) } }
}

/**
 * Returns the lines about one unit. After a failure, `nixos-rebuild` prints the output of `systemctl status`
 * for all failed units.
 */
function statusOf(lines: readonly string[], unit: string): string[] {
  const isHead = (line: string) => /^[●×○*] /.test(line)
  const from = lines.findIndex((line) => isHead(line) && line.includes(unit))
  if (from < 0) return lines.slice(0, LOG_LINES)
  const end = lines.findIndex((line, index) => index > from && isHead(line))
  return lines.slice(from, end < 0 ? from + LOG_LINES : end).filter((line) => line.trim() !== '')
}
