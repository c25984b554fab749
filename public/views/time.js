import { useEffect, useRef, useState } from 'preact/hooks'
import { clock } from '../state/text.js'
import { html } from './html.js'
import { createTicker } from './ticker.js'

/** Interval in ms between updates of clocks that show seconds. */
const TICK_MS = 1000
/** Interval in ms between updates of clocks that show minutes or more. */
const SLOW_TICK_MS = 20_000

const subscribeFast = createTicker(TICK_MS)
const subscribeSlow = createTicker(SLOW_TICK_MS)

/**
 * Returns the value of `compute` for the present time. Renders the component again when the value changes.
 * @template T
 * @param {(now: number) => T} compute
 * @param {boolean} [slow]
 */
export function useTime(compute, slow = false) {
  const latest = useRef(compute)
  latest.current = compute
  const [, setValue] = useState(() => compute(Date.now()))
  useEffect(
    () => (slow ? subscribeSlow : subscribeFast)((now) => setValue(() => latest.current(now))),
    [slow],
  )
  return compute(Date.now())
}

/** Returns false on the server and in the first render of the browser, because hydration needs equal HTML. */
export function useIsBrowser() {
  const [isBrowser, setIsBrowser] = useState(false)
  useEffect(() => setIsBrowser(true), [])
  return isBrowser
}

/** @type {Record<'full' | 'minute' | 'second', Intl.DateTimeFormatOptions>} */
const FORMATS = {
  full: { dateStyle: 'medium', timeStyle: 'medium' },
  minute: { hour: '2-digit', minute: '2-digit' },
  second: { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' },
}

/**
 * Cache of formatters, because the creation of a formatter takes longer than the render of an app card.
 * @type {Map<string, Intl.DateTimeFormat>}
 */
const formats = new Map()

/** @param {keyof typeof FORMATS} name @param {boolean} isBrowser */
function formatOf(name, isBrowser) {
  const key = `${name} ${isBrowser}`
  const known = formats.get(key)
  if (known) return known
  const created = isBrowser
    ? new Intl.DateTimeFormat([], FORMATS[name])
    : new Intl.DateTimeFormat('en-GB', { ...FORMATS[name], timeZone: 'UTC' })
  formats.set(key, created)
  return created
}

/**
 * Formats a time of the server as local time in the browser, and as UTC on the server.
 * @param {string} at
 * @param {number} skew
 * @param {boolean} isBrowser
 * @param {keyof typeof FORMATS} name
 */
const localTime = (at, skew, isBrowser, name) =>
  formatOf(name, isBrowser).format(new Date(Date.parse(at) + (isBrowser ? skew : 0)))

/**
 * Shows the duration since a time of the server's clock. `skew` is the clock difference to the browser in ms.
 * @param {{ since: string, skew: number, slow?: boolean, format?: (ms: number) => string }} props
 */
export function Elapsed({ since, skew, slow = false, format = clock }) {
  const isBrowser = useIsBrowser()
  const text = useTime((now) => format(Math.max(0, now - skew - Date.parse(since))), slow)
  const title = isBrowser ? `since ${localTime(since, skew, isBrowser, 'full')}` : undefined
  return html`<time class="elapsed" dateTime=${since} title=${title}>${text}</time>`
}

/**
 * @param {{ at: string, skew: number, date?: boolean }} props
 */
export function ClockTime({ at, skew, date = false }) {
  const isBrowser = useIsBrowser()
  const text = localTime(at, skew, isBrowser, date ? 'second' : 'minute')
  const title = isBrowser ? localTime(at, skew, isBrowser, 'full') : undefined
  return html`<time dateTime=${at} title=${title}>${text}${isBrowser ? '' : ' UTC'}</time>`
}
