import { useEffect, useRef, useState } from 'preact/hooks'
import { clock } from '../state/text.js'
import { html } from './html.js'
import { createTicker } from './ticker.js'

/** What is going on is counted in seconds, what is settled in minutes. */
const TICK_MS = 1000
const SLOW_TICK_MS = 20_000

const watchFast = createTicker(TICK_MS)
const watchSlow = createTicker(SLOW_TICK_MS)

/** What there is to say at this time, and again whenever it has become something else.
 *  @template T @param {(now: number) => T} say @param {boolean} [slow] */
export function useTime(say, slow = false) {
  const latest = useRef(say)
  latest.current = say
  const [, setSaid] = useState(() => say(Date.now()))
  useEffect(() => (slow ? watchSlow : watchFast)((now) => setSaid(() => latest.current(now))), [slow])
  return say(Date.now())
}

/** False on the server and in the first drawing here, which has to be the same: only then the clock and the language of
 *  this machine count. */
export function useHere() {
  const [here, setHere] = useState(false)
  useEffect(() => setHere(true), [])
  return here
}

/** @type {Record<'full' | 'minute' | 'second', Intl.DateTimeFormatOptions>} */
const FORMATS = {
  full: { dateStyle: 'medium', timeStyle: 'medium' },
  minute: { hour: '2-digit', minute: '2-digit' },
  second: { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' },
}

/** Making one takes longer than drawing a card. @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map()

/** @param {keyof typeof FORMATS} name @param {boolean} here */
function formatOf(name, here) {
  const key = `${name} ${here}`
  const known = formats.get(key)
  if (known) return known
  const made = here
    ? new Intl.DateTimeFormat([], FORMATS[name])
    : new Intl.DateTimeFormat('en-GB', { ...FORMATS[name], timeZone: 'UTC' })
  formats.set(key, made)
  return made
}

/** @param {string} at @param {number} skew @param {boolean} here @param {keyof typeof FORMATS} name */
const wallTime = (at, skew, here, name) =>
  formatOf(name, here).format(new Date(Date.parse(at) + (here ? skew : 0)))

/** Time since a moment of the server, in the words of `format`.
 *  @param {{ since: string, skew: number, slow?: boolean, format?: (ms: number) => string }} props */
export function Elapsed({ since, skew, slow = false, format = clock }) {
  const here = useHere()
  const text = useTime((now) => format(Math.max(0, now - skew - Date.parse(since))), slow)
  const title = here ? `since ${wallTime(since, skew, here, 'full')}` : undefined
  return html`<time class="elapsed" dateTime=${since} title=${title}>${text}</time>`
}

/** A moment of the server as the clock on the wall here. @param {{ at: string, skew: number, date?: boolean }} props */
export function ClockTime({ at, skew, date = false }) {
  const here = useHere()
  const text = wallTime(at, skew, here, date ? 'second' : 'minute')
  const title = here ? wallTime(at, skew, here, 'full') : undefined
  return html`<time dateTime=${at} title=${title}>${text}${here ? '' : ' UTC'}</time>`
}
