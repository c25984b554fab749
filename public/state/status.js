/** Functions that derive colours and install steps from the status of an app. */

/** @import { AppStatus, State, Status } from '../types.js' */

/** Statuses of a successful install, in order. @type {readonly Status[]} */
export const STEPS = ['queued', 'configuring', 'building', 'starting', 'running']

/** Returns true if an operation is queued or in progress. @param {Status | null | undefined} status */
export const inFlight = (status) =>
  status === 'queued' ||
  status === 'configuring' ||
  status === 'building' ||
  status === 'starting' ||
  status === 'stopping'

/** Returns true if the status needs an action of the operator. @param {Status | null | undefined} status */
export const needsAttention = (status) => status === 'failed' || status === 'error'

/** Returns the colour class of a status, without the prefix `tone-`. @param {Status} status */
export const tone = (status) =>
  status === 'running'
    ? 'good'
    : status === 'failed'
      ? 'bad'
      : status === 'error'
        ? 'warn'
        : inFlight(status)
          ? 'busy'
          : 'off'

/**
 * Returns null while the page is up to date. Otherwise returns the time of the last news of the agent as an
 * ISO text of the browser's clock, or an empty text if the page has had no news yet.
 * @param {Pick<State, 'connection' | 'staleSince' | 'skew'>} state
 */
export function lastSeenOf({ connection, staleSince, skew }) {
  if (connection !== 'stale' && connection !== 'reconnecting') return null
  if (staleSince === null || connection === 'reconnecting') return staleSince ?? ''
  return new Date(Date.parse(staleSince) + skew).toISOString()
}

/**
 * Returns true if the app's install failed because a user cancelled the install.
 * @param {Pick<AppStatus, 'status' | 'cause'>} app
 */
export const isCancelled = ({ status, cause }) => status === 'failed' && cause?.class === 'cancelled'

/**
 * Returns the colour class of an app. A cancelled install does not have the colour of a failure.
 * @param {Pick<AppStatus, 'status' | 'cause'>} app
 */
export const toneOf = (app) => (isCancelled(app) ? 'off' : tone(app.status))

/**
 * Returns the failed step of an install, or null if the cause (recorded reason) does not contain the step.
 * @param {AppStatus} app
 */
export function failedStep(app) {
  if (!needsAttention(app.status) || !app.cause) return null
  const { phase } = app.cause
  return phase && STEPS.includes(phase) ? phase : null
}

/**
 * Returns all steps of an install, with the progress of the app in each step.
 * @param {AppStatus} app
 * @returns {{ step: Status, state: 'done' | 'now' | 'broken' | 'ahead' }[]}
 */
export function steps(app) {
  const failed = failedStep(app)
  const at = STEPS.indexOf(failed ?? app.status)
  return STEPS.map((step, index) => {
    if (failed === step) return { step, state: 'broken' }
    if (index < at || app.status === 'running') return { step, state: 'done' }
    return { step, state: index === at ? 'now' : 'ahead' }
  })
}
