import { useEffect, useState } from 'preact/hooks'
import { html } from '../html.js'
import { clock } from '../words.js'

/** What is going on is counted in seconds, what is settled in minutes. */
const TICK_MS = 1000
const SLOW_TICK_MS = 20_000

/** One timer for all that tick alike, none when nobody looks. @param {number} everyMs */
function createTicker(everyMs) {
  /** @type {Set<(now: number) => void>} */
  const watchers = new Set()
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer
  function tick() {
    const now = Date.now()
    for (const watcher of watchers) watcher(now)
  }
  /** @param {(now: number) => void} watcher */
  return function watch(watcher) {
    watchers.add(watcher)
    timer ??= setInterval(tick, everyMs)
    return () => {
      watchers.delete(watcher)
      if (watchers.size > 0) return
      clearInterval(timer)
      timer = undefined
    }
  }
}

const watchFast = createTicker(TICK_MS)
const watchSlow = createTicker(SLOW_TICK_MS)

/** The time, now and again. @param {boolean} [slow] */
export function useNow(slow = false) {
  const [now, setNow] = useState(Date.now)
  useEffect(() => (slow ? watchSlow : watchFast)(setNow), [slow])
  return now
}

/** False on the server and in the first drawing here, which has to be the same: only then the clock and the language of
 *  this machine count. */
export function useHere() {
  const [here, setHere] = useState(false)
  useEffect(() => setHere(true), [])
  return here
}

/** @param {string} at @param {number} skew @param {boolean} here @param {Intl.DateTimeFormatOptions} format */
const wallTime = (at, skew, here, format) =>
  new Date(Date.parse(at) + (here ? skew : 0)).toLocaleString(here ? [] : 'en-GB', {
    ...format,
    ...(here ? {} : { timeZone: 'UTC' }),
  })

/** @type {Intl.DateTimeFormatOptions} */
const FULL = { dateStyle: 'medium', timeStyle: 'medium' }

/** Time since a moment of the server, in the words of `format`.
 *  @param {{ since: string, skew: number, slow?: boolean, format?: (ms: number) => string }} props */
export function Elapsed({ since, skew, slow = false, format = clock }) {
  const here = useHere()
  const ms = Math.max(0, useNow(slow) - skew - Date.parse(since))
  const title = here ? `since ${wallTime(since, skew, here, FULL)}` : undefined
  return html`<time class="elapsed" dateTime=${since} title=${title}>${format(ms)}</time>`
}

/** A moment of the server as the clock on the wall here. @param {{ at: string, skew: number, date?: boolean }} props */
export function ClockTime({ at, skew, date = false }) {
  const here = useHere()
  /** @type {Intl.DateTimeFormatOptions} */
  const day = date ? { day: 'numeric', month: 'short', second: '2-digit' } : {}
  const text = wallTime(at, skew, here, { ...day, hour: '2-digit', minute: '2-digit' })
  const title = here ? wallTime(at, skew, here, FULL) : undefined
  return html`<time dateTime=${at} title=${title}>${text}${here ? '' : ' UTC'}</time>`
}
