import type { Outcome } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { RunFailure, RunState } from '../host/index.ts'

/** nixos-rebuild switch: the new generation is on, but some units failed to start. */
const EXIT_SWITCHED_WITH_FAILURES = 4
/** Of a log, what a person needs to see why. */
export const CAUSE_LOG_LINES = 20

/** What is known of a run that is over. */
export interface Observation {
  state: RunState
  before: string | null
  after: string | null
  /** By app, as the host named the guilty. */
  failures: Record<string, RunFailure>
  /** Why, where the host can say so but can't name an app. */
  whole?: RunFailure | undefined
  /** The apps to be installed in this rebuild. */
  installing: readonly string[]
  /** The last lines of the run's log. */
  log: readonly string[]
  /** Why the run was stopped by the agent, if it was. */
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

/** Was the host switched? By what is seen, not by what the exit code promises. */
export function wasSwitched({ state, before, after }: Observation): boolean {
  const code = exitCode(state)
  return code === 0 || code === EXIT_SWITCHED_WITH_FAILURES || after !== before
}

function wholeCause({ state, failures, whole, log }: Observation): Cause {
  const other = Object.entries(failures)[0]
  const code = exitCode(state)
  if (whole && !other) return causeOf(whole, code)
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
  return { class: 'build', message, hint: 'Look at its log, then retry.', exit_code: code, log: lastLines }
}

/** What the database is told of a rebuild whose run is over. */
export function judge(seen: Observation): Outcome {
  const common = { exitCode: exitCode(seen.state), generation: seen.after, split: false }
  if (wasSwitched(seen)) return { ...common, switched: true, failures: {}, cause: null }
  if (seen.stopped) {
    return { ...common, switched: false, failures: seen.stopped.causes, cause: seen.stopped.all }
  }
  const guilty = Object.entries(seen.failures).filter(([app]) => seen.installing.includes(app))
  const failures = Object.fromEntries(guilty.map(([app, why]) => [app, causeOf(why, common.exitCode)]))
  // It was evaluated or built and did not work, but nobody is named: the guilty one is among those of this rebuild.
  const split = Object.keys(seen.failures).length === 0 && common.exitCode !== null
  return { ...common, switched: false, failures, cause: guilty.length > 0 ? null : wholeCause(seen), split }
}
