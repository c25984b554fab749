/** Texts of the page: labels, formatted durations and names. */

import { own } from './record.js'
import { inFlight } from './status.js'

/** @import { State, Status } from '../types.js' */

/**
 * Labels of the statuses. `failed` and `error` have other words as labels, because users confuse the two
 * words.
 * @type {Record<Status, string>}
 */
export const LABELS = {
  queued: 'Queued',
  configuring: 'Configuring',
  building: 'Building',
  starting: 'Starting',
  running: 'Running',
  stopping: 'Removing',
  stopped: 'Off (data kept)',
  error: 'Not healthy',
  failed: 'Install failed',
}

/** @type {Record<Status, string>} */
export const MEANINGS = {
  queued: 'Waiting for its turn.',
  configuring: 'Writing the configuration of the host.',
  building: 'The host is being rebuilt with this app.',
  starting: 'Installed. Waiting until the app answers its health check.',
  running: 'The app answers its health check.',
  stopping: 'The host is being rebuilt without this app.',
  stopped: 'Switched off. Its data is still here.',
  error: 'Installed, but the app does not answer its health check.',
  failed: 'The app is not on.',
}

/** @type {Record<import('../types.js').Verb, string>} */
export const ACTION_LABELS = {
  install: 'Install',
  retry: 'Try again',
  cancel: 'Cancel',
  uninstall: 'Uninstall',
  purge: 'Delete with data',
  rollback: 'Roll back',
}

/** @type {Record<import('../types.js').Verb, string>} */
export const BUSY_LABELS = {
  install: 'Requesting…',
  retry: 'Requesting…',
  cancel: 'Cancelling…',
  uninstall: 'Requesting…',
  purge: 'Requesting…',
  rollback: 'Requesting…',
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** @param {number} n */
const twoDigits = (n) => String(n).padStart(2, '0')

/** Formats the duration of work in progress: 0:42, 12:05, 1:02:03. @param {number} ms */
export function clock(ms) {
  const s = Math.max(0, Math.floor(ms / SECOND))
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60]
  return h ? `${h}:${twoDigits(m)}:${twoDigits(s % 60)}` : `${m}:${twoDigits(s % 60)}`
}

/** Formats the duration of finished work: "<1 s", "12 s", "2:05". @param {number} seconds */
export function short(seconds) {
  if (seconds < 1) return '<1 s'
  return seconds < MINUTE / SECOND ? `${Math.round(seconds)} s` : clock(seconds * SECOND)
}

/** Formats the usual duration, from the median to the 90th percentile: "0:40–1:30".
 *  @param {{ p50_seconds: number, p90_seconds: number }} usual */
export function usualRange({ p50_seconds, p90_seconds }) {
  if (p90_seconds < 1) return 'under a second'
  const from = clock(p50_seconds * SECOND)
  const to = clock(Math.ceil(p90_seconds) * SECOND)
  return from === to ? to : `${from}–${to}`
}

/** Formats a duration in its largest unit: "3 days", "12 minutes". @param {number} ms */
export function longDuration(ms) {
  /** @type {[number, string][]} */
  const units = [
    [DAY, 'day'],
    [HOUR, 'hour'],
    [MINUTE, 'minute'],
  ]
  for (const [size, unit] of units) {
    const n = Math.floor(ms / size)
    if (n >= 1) return `${n} ${unit}${n === 1 ? '' : 's'}`
  }
  return 'less than a minute'
}

/**
 * Formats the time since a status began: "3 days ago" or "for 3 days".
 * @param {Status} status
 * @param {number} ms
 */
export const timeInStatus = (status, ms) =>
  status === 'failed' ? `${longDuration(ms)} ago` : `for ${longDuration(ms)}`

/** @param {string} word */
export const capital = (word) => word.slice(0, 1).toUpperCase() + word.slice(1)

/** Returns the first letter or digit of a name as a capital. @param {string | null | undefined} name */
export const initial = (name) => (name?.match(/[\p{L}\p{N}]/u)?.[0] ?? '?').toUpperCase()

/** Number of the classes `colour-…` in css/apps.css, background colours of app icons. */
export const COLOURS = 12

/**
 * Returns the index of the colour class for a name. The same name always has the same colour.
 * @param {string} name
 */
export function colourOf(name) {
  let hash = 0
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0
  return hash % COLOURS
}

/** Joins names: "traefik", "traefik and postgres", "a, b and c". @param {string[]} names */
export const list = (names) =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`

/** @param {Pick<State, 'apps' | 'route'>} state */
export function titleOf({ apps, route }) {
  const shown = route.app === null ? undefined : own(apps, route.app)
  const busy = Object.values(apps).filter((app) => inFlight(app.status))
  const named = shown ?? busy.find((app) => app.status !== 'queued') ?? busy[0]
  if (!named) return route.app === null ? 'Bloud' : `${route.app} · Bloud`
  const more = !shown && busy.length > 1 ? ` (+${busy.length - 1})` : ''
  return `${LABELS[named.status]} ${named.display_name}${more} · Bloud`
}

/**
 * PostgreSQL roles that name no user: all users of the page share the first, and all users of `npm run psql`
 * the second. Before the second existed, psql used the first.
 */
const SHARED_ROLES = ['bloud_operator', 'bloud_psql']

/**
 * Returns a text about the author of an event. SHARED_ROLES are not named.
 * @param {{ actor: string, origin: string }} event
 */
export function authorOf({ actor, origin }) {
  if (origin === 'agent') return 'the agent'
  const author = SHARED_ROLES.includes(actor) ? 'somebody' : actor
  const where = /** @type {Record<string, string>} */ ({
    web: 'on this page',
    api: 'by the API',
    psql: 'in psql',
  })
  return `${author} ${where[origin] ?? origin}`
}

/** @param {{ count: number, exit_code: number | null }} restarts */
export const restartText = ({ count, exit_code }) =>
  `Ended and started again ${count === 1 ? 'once' : `${count} times`} in the last hour${exit_code === null ? '' : `, last with exit code ${exit_code}`}.`
