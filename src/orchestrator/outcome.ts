import type { Outcome } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { RunFailure, RunState } from '../host/index.ts'

/**
 * Exit code of `nixos-rebuild switch` if the new host generation is active but some systemd units failed to
 * start.
 */
const EXIT_SWITCHED_WITH_FAILURES = 4
/** Number of log lines stored with a cause of failure: the last lines of the log. */
export const CAUSE_LOG_LINES = 20

/** Facts about a finished run of the switch command, from which the outcome of the rebuild is decided. */
export interface Observation {
  state: RunState
  /** Host generation that was active before the run, or null if there was none. */
  before: string | null
  /** Host generation that is active after the run, or null if there is none. */
  after: string | null
  /** Failures that the host attributes to an app, by the name of the app. */
  failures: Record<string, RunFailure>
  /** Failure that the host reported without the name of an app. */
  unattributed?: RunFailure | undefined
  /** Names of the apps that the rebuild was to install. */
  installing: readonly string[]
  /** Last lines of the log of the run. */
  log: readonly string[]
  /** Reason why the agent stopped the run, or null if the run ended by itself. */
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
 * True if the new host generation became active. The host generation is active after exit code 0 or 4. With
 * any other exit code, the generation must differ from the generation before the run.
 */
export function wasSwitched({ state, before, after }: Observation): boolean {
  const code = exitCode(state)
  return code === 0 || code === EXIT_SWITCHED_WITH_FAILURES || after !== before
}

/**
 * Returns the cause of failure that is stored with all operations of a rebuild. Used if the host did not name
 * a failed app.
 */
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

/** Returns the outcome of a rebuild, decided from the facts about its finished run. */
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
  // If the switch command failed and the host named no app, the database splits the rebuild into two smaller
  // rebuilds. Only the rebuild that contains the failing app fails again.
  const split = Object.keys(observed.failures).length === 0 && common.exitCode !== null
  return {
    ...common,
    switched: false,
    failures,
    cause: failed.length > 0 ? null : sharedCause(observed),
    split,
  }
}
