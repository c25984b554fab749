import type { Outcome } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { RunFailure, RunState } from '../host/index.ts'

/** Exit code of `nixos-rebuild switch` if the new generation is active but some units failed to start. */
const EXIT_SWITCHED_WITH_FAILURES = 4
/** Number of last log lines stored with a cause. */
export const CAUSE_LOG_LINES = 20

/** Facts known about an ended run of the switch. */
export interface Observation {
  state: RunState
  /** Active generation before the run. */
  before: string | null
  /** Active generation after the run. */
  after: string | null
  /** Failures by app, as named by the host. */
  failures: Record<string, RunFailure>
  /** Failure reported by the host without the name of an app. */
  unattributed?: RunFailure | undefined
  /** Apps installed by this rebuild. */
  installing: readonly string[]
  /** Last lines of the run's log. */
  log: readonly string[]
  /** Reason why the agent stopped the run; null if it did not. */
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
 * True if the host was switched. An exit code of 0 or 4 proves it, and so does a changed generation, whatever
 * the exit code.
 */
export function wasSwitched({ state, before, after }: Observation): boolean {
  const code = exitCode(state)
  return code === 0 || code === EXIT_SWITCHED_WITH_FAILURES || after !== before
}

/** Returns the cause for all operations of a rebuild that is not the fault of one installed app. */
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

/** Decides the outcome of a rebuild from the observation of its ended run. */
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
  // The evaluation or build failed and the host names no app, so one of this rebuild's apps is the cause: the
  // database splits the rebuild in halves to find it.
  const split = Object.keys(observed.failures).length === 0 && common.exitCode !== null
  return {
    ...common,
    switched: false,
    failures,
    cause: failed.length > 0 ? null : sharedCause(observed),
    split,
  }
}
