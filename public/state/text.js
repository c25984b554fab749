/** Words and numbers for people. Pure: no DOM, no clock of its own. */

import { inFlight } from './status.js'

/** @import { State, Status } from '../types.js' */

/** `failed` and `error` are the two words people confuse, so both get a plain label.
 *  @type {Record<Status, string>} */
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

/** One sentence each: what is going on right now.
 *  @type {Record<Status, string>} */
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

/** What a button says from the click until the answer arrives.
 *  @type {Record<import('../types.js').Verb, string>} */
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
const two = (n) => String(n).padStart(2, '0')

/** 0:42, 12:05, 1:02:03: for work that is going on. @param {number} ms */
export function clock(ms) {
  const s = Math.max(0, Math.floor(ms / SECOND))
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60]
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`
}

/** "<1 s", "12 s", "2:05": how long something took. @param {number} seconds */
export function short(seconds) {
  if (seconds < 1) return '<1 s'
  return seconds < MINUTE / SECOND ? `${Math.round(seconds)} s` : clock(seconds * SECOND)
}

/** "0:40–1:30", from half of the times to nine in ten.
 *  @param {{ p50_seconds: number, p90_seconds: number }} usual */
export function usualRange({ p50_seconds, p90_seconds }) {
  if (p90_seconds < 1) return 'under a second'
  const from = clock(p50_seconds * SECOND)
  const to = clock(Math.ceil(p90_seconds) * SECOND)
  return from === to ? to : `${from}–${to}`
}

/** "3 days", "12 minutes": for what is settled. @param {number} ms */
export function lasting(ms) {
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

/** Since when, in words that fit what is settled. @param {Status} status @param {number} ms */
export const settledFor = (status, ms) => (status === 'failed' ? `${lasting(ms)} ago` : `for ${lasting(ms)}`)

/** @param {string} word */
export const capital = (word) => word.slice(0, 1).toUpperCase() + word.slice(1)

/** @param {string | null | undefined} name */
export const initial = (name) => (name?.match(/[\p{L}\p{N}]/u)?.[0] ?? '?').toUpperCase()

/** How many colour classes css/apps.css has. */
export const COLOURS = 12

/** Always the same colour for the same name. @param {string} name */
export function colourOf(name) {
  let hash = 0
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0
  return hash % COLOURS
}

/** "traefik", "traefik and postgres", "a, b and c". @param {string[]} names */
export const list = (names) =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`

/** Title of the tab. @param {Pick<State, 'apps' | 'route'>} state */
export function titleOf({ apps, route }) {
  const shown = route.app === null ? undefined : apps[route.app]
  const busy = Object.values(apps).filter((app) => inFlight(app.status))
  const one = shown ?? busy.find((app) => app.status !== 'queued') ?? busy[0]
  if (!one) return route.app === null ? 'Bloud' : `${route.app} · Bloud`
  const more = !shown && busy.length > 1 ? ` (+${busy.length - 1})` : ''
  return `${LABELS[one.status]} ${one.display_name}${more} · Bloud`
}

/** The page and the API act as one role for everybody: its name would tell a person nothing.
 *  @param {{ actor: string, origin: string }} move */
export function byWhom({ actor, origin }) {
  if (origin === 'agent') return 'the agent'
  const who = actor === 'bloud_operator' ? 'somebody' : actor
  const where = /** @type {Record<string, string>} */ ({
    web: 'on this page',
    api: 'by the API',
    psql: 'in psql',
  })
  return `${who} ${where[origin] ?? origin}`
}
