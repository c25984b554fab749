import type { Outcome } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { RunFailure, RunState } from '../host/index.ts'

/**
 * Exit code of `nixos-rebuild switch` if the new configuration is active but a systemd unit failed to start.
 */
const EXIT_SWITCHED_WITH_FAILURES = 4
/** Number of last log lines that are stored with the reason of a failure. */
export const CAUSE_LOG_LINES = 20

/**
 * Facts about one execution of the switch command (`nixos-rebuild switch`, or switch.ts without NixOS).
 * The outcome of the rebuild depends only on these facts.
 */
export interface Observation {
  state: RunState
  /** Generation (complete configuration of the machine) that was active before the switch command. */
  before: string | null
  /** Generation (complete configuration of the machine) that is active after the switch command. */
  after: string | null
  /** Failures of single apps, by app name. */
  failures: Record<string, RunFailure>
  /** Failure that can't be attributed to an app. */
  unattributed?: RunFailure | undefined
  installing: readonly string[]
  log: readonly string[]
  /** Reasons why the agent stopped the switch command. Null if the command ended by itself. */
  stopped: { causes: Record<string, Cause>; all: Cause | null } | null
}

function exitCode(state: RunState): number | null {
  return state.state === 'exited' ? state.exitCode : null
}

function causeOf(failure: RunFailure, code: number | null): Cause {
  return {
    class: failure.class,
    message: failure.message,
    log: failure.log.slice(-CAUSE_LOG_LINES),
    ...(code === null ? {} : { exit_code: code }),
  }
}

/**
 * True if the new configuration became active. After an exit code other than 0 and 4, only a changed
 * generation proves this.
 */
export function wasSwitched({ state, before, after }: Observation): boolean {
  const code = exitCode(state)
  return code === 0 || code === EXIT_SWITCHED_WITH_FAILURES || after !== before
}

/** Returns the reason of a failed rebuild if none of the apps to install is known to have failed. */
function sharedCause({ state, failures, unattributed, log }: Observation): Cause {
  const other = Object.entries(failures)[0]
  const code = exitCode(state)
  if (unattributed && !other) return causeOf(unattributed, code)
  if (other) {
    const message = `${other[0]}, which was installed before, can't be built any more: ${other[1].message}`
    return { ...causeOf(other[1], code), message }
  }
  const lastLines = log.slice(-CAUSE_LOG_LINES)
  if (code === null) {
    return {
      class: 'interrupted',
      message: 'The rebuild was interrupted before it ended',
      hint: 'Retry.',
      log: lastLines,
    }
  }
  const message = `The rebuild ended with exit code ${code}`
  return { class: 'build', message, hint: 'Check its log, then retry.', exit_code: code, log: lastLines }
}

/**
 * Decides the outcome of a rebuild (one change of the machine) from the facts about its finished switch
 * command.
 */
export function decideOutcome(observed: Observation): Outcome {
  const common = { exitCode: exitCode(observed.state), generation: observed.after, split: false }
  if (wasSwitched(observed)) return { ...common, switched: true, failures: {}, cause: null }
  if (observed.stopped) {
    return { ...common, switched: false, failures: observed.stopped.causes, cause: observed.stopped.all }
  }
  const failed = Object.entries(observed.failures).filter(([app]) => observed.installing.includes(app))
  const failures = Object.fromEntries(
    failed.map(([app, failure]) => [app, causeOf(failure, common.exitCode)]),
  )
  // If the failed app is unknown, the database divides the operations into two smaller rebuilds. Only the
  // rebuild with the failing app then fails again.
  const split = Object.keys(observed.failures).length === 0 && common.exitCode !== null
  return {
    ...common,
    switched: false,
    failures,
    cause: failed.length > 0 ? null : sharedCause(observed),
    split,
  }
}
