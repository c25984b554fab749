/** Groups of statuses, and the steps of an install. Pure. */

/** @import { AppStatus, Status } from '../types.js' */

/** Steps of an install, in order.
 *  @type {readonly Status[]} */
export const STEPS = ['queued', 'configuring', 'building', 'starting', 'running']

/**
 * Returns true if an operation is in progress, which ends by itself.
 * @param {Status | null | undefined} status
 */
export const inFlight = (status) =>
  status === 'queued' ||
  status === 'configuring' ||
  status === 'building' ||
  status === 'starting' ||
  status === 'stopping'

/** Returns true if the operator has to act. @param {Status | null | undefined} status */
export const needsAttention = (status) => status === 'failed' || status === 'error'

/** Returns the colour family of a status. @param {Status} status */
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
 * Returns true if the install failed because it was cancelled.
 * @param {Pick<AppStatus, 'status' | 'cause'>} app
 */
export const isCancelled = ({ status, cause }) => status === 'failed' && cause?.class === 'cancelled'

/**
 * Returns the colour family of an app: a cancelled install is not shown as a failure, although its status is
 * `failed`.
 * @param {Pick<AppStatus, 'status' | 'cause'>} app
 */
export const toneOf = (app) => (isCancelled(app) ? 'off' : tone(app.status))

/** Returns the step that failed, if the cause names it; the step is never guessed. @param {AppStatus} app */
export function failedStep(app) {
  if (!needsAttention(app.status) || !app.cause) return null
  const { phase } = app.cause
  return phase && STEPS.includes(phase) ? phase : null
}

/**
 * Returns the steps of an install with the progress of an app.
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
