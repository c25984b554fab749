/** Questions about a status, and the steps of an install. Pure. */

/** @import { AppStatus, Status } from '../types.js' */

/** The five steps of an install, in order.
 *  @type {readonly Status[]} */
export const STEPS = ['queued', 'configuring', 'building', 'starting', 'running']

/** Work is going on and will end by itself. @param {Status | null | undefined} status */
export const inFlight = (status) =>
  status === 'queued' ||
  status === 'configuring' ||
  status === 'building' ||
  status === 'starting' ||
  status === 'stopping'

/** Someone should look at it. @param {Status | null | undefined} status */
export const needsAttention = (status) => status === 'failed' || status === 'error'

/** Colour family of a status. @param {Status} status */
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

/** Somebody asked for this end. @param {Pick<AppStatus, 'status' | 'cause'>} app */
export const isCancelled = ({ status, cause }) => status === 'failed' && cause?.class === 'cancelled'

/** Colour family of what is told of an app: an end that was asked for is no alarm, whatever its status is called.
 *  @param {Pick<AppStatus, 'status' | 'cause'>} app */
export const toneOf = (app) => (isCancelled(app) ? 'off' : tone(app.status))

/** The step where it went wrong: what the cause says, never a guess. @param {AppStatus} app */
export function brokenStep(app) {
  if (!needsAttention(app.status) || !app.cause) return null
  const { phase } = app.cause
  return phase && STEPS.includes(phase) ? phase : null
}

/**
 * @param {AppStatus} app
 * @returns {{ step: Status, state: 'done' | 'now' | 'broken' | 'ahead' }[]}
 */
export function steps(app) {
  const broken = brokenStep(app)
  const at = STEPS.indexOf(broken ?? app.status)
  return STEPS.map((step, index) => {
    if (broken === step) return { step, state: 'broken' }
    if (index < at || app.status === 'running') return { step, state: 'done' }
    return { step, state: index === at ? 'now' : 'ahead' }
  })
}
