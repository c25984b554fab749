import type { Outcome } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { RunFailure, RunState } from '../host/index.ts'

/**
 * Exit code of `nixos-rebuild switch` if the new host generation is active but a systemd unit failed to
 * start.
 */
const EXIT_SWITCHED_WITH_FAILURES = 4
/** Number of log lines (the last ones) that are stored with the cause of a failed operation. */
export const CAUSE_LOG_LINES = 20

/**
 * Facts about a finished run of the switch command. The outcome of the rebuild depends only on these facts.
 */
export interface Observation {
  state: RunState
  /** Host generation that was active before the run. */
  before: string | null
  /** Host generation that is active after the run. */
  after: string | null
  /** Failures of single apps, by the name of the app. */
  failures: Record<string, RunFailure>
  /** Failure that the host can't attribute to an app. */
  unattributed?: RunFailure | undefined
  /** Names of the apps that the rebuild installs. */
  installing: readonly string[]
  log: readonly string[]
  /** Reason why the agent stopped the run. Null if the run ended by itself. */
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
 * True if the new host generation became active. With an exit code other than 0 and 4, this is true only if
 * the active host generation changed.
 */
export function wasSwitched({ state, before, after }: Observation): boolean {
  const code = exitCode(state)
  return code === 0 || code === EXIT_SWITCHED_WITH_FAILURES || after !== before
}

/** Returns the cause that is stored with all operations of a failed rebuild if the failed app is unknown. */
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

/** Decides the outcome of a rebuild from the facts about its finished run. */
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
  // If the failed app is unknown, the database splits the rebuild into two smaller rebuilds. Only the rebuild
  // with the failing app then fails again.
  const split = Object.keys(observed.failures).length === 0 && common.exitCode !== null
  return {
    ...common,
    switched: false,
    failures,
    cause: failed.length > 0 ? null : sharedCause(observed),
    split,
  }
}
