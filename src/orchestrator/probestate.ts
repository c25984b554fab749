/** What the health checker knows about the probes of an app. */

/** Pause in ms after the first probe of a starting app. Each further pause is twice as long. */
const FIRST_PAUSE_MS = 20
export const LAST_PAUSE_MS = 500

export interface ProbeState {
  nextProbeAt: number
  /** Status of the app at the last read, and the pause before the next probe if the app is starting. */
  status: string
  pauseMs: number
  /** Number of consecutive failed probes that count, because the app is not starting. */
  failures: number
  /** True if the last probe has failed, whether it counts or not. */
  failing: boolean
  /** Time of the last healthy probe as in `performance.now()`. */
  healthyAt: number
  /** Time from which the app's restarts must be read, and the last restart that was recorded. */
  restartCheckAt: number
  recordedRestart: string
  busy: boolean
  /**
   * True if probes of this orchestrator have confirmed or replaced the stored status, which may be outdated.
   * Until then, the app is probed as often as a starting one.
   */
  verified: boolean
}

export const newProbeState = (status: string): ProbeState => ({
  nextProbeAt: 0,
  status,
  pauseMs: FIRST_PAUSE_MS,
  failures: 0,
  failing: false,
  healthyAt: Number.NEGATIVE_INFINITY,
  restartCheckAt: 0,
  recordedRestart: '',
  busy: false,
  verified: false,
})

/** Called with the status of the app at each read. A new status begins with short pauses. */
export function statusRead(state: ProbeState, status: string): void {
  if (state.status === status) return
  state.status = status
  state.pauseMs = FIRST_PAUSE_MS
  if (status === 'starting') state.nextProbeAt = 0
}
