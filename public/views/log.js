import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { plainText } from '../state/ansi.js'
import { appPath } from '../state/route.js'
import { clock } from '../state/text.js'
import { CopyButton } from './copybutton.js'
import { html } from './html.js'
import { Icon } from './icon.js'
import { logLine } from './logline.js'
import { useIsBrowser, useTime } from './time.js'

/** @import { Log, LogLine, Actions } from '../types.js' */

/** Time in ms without a new line after which the log panel shows "no output for …" instead of "live". */
const SILENT_MS = 40_000
/** Distance in pixels between scroll position and end up to which the panel follows new lines. */
const AT_END_PX = 24
/**
 * Height of each log line in pixels, as in css/log.css. Only the visible lines are rendered, so the height of
 * the others is computed from their number.
 */
const LINE_PX = 18
/** Number of lines rendered above and below the visible lines, so that scrolling shows no gap. */
const MARGIN_LINES = 30
/** Number of lines in the first render, before the height of the log panel is known. */
const FIRST_LINES = 40

/**
 * Shows a log. `full` adds search, copy and download.
 * @param {{ log: Log, title: string, since: string | undefined, skew: number, actions: Actions, full?:
 *   boolean }} props
 */
export function LogPanel({ log, title, since, skew, actions, full = false }) {
  const [follow, setFollow] = useState(true)
  const [query, setQuery] = useState('')
  const [times, setTimes] = useState(false)
  const [at, setAt] = useState(-1)
  const found = useMemo(() => search(log.lines, query), [log.lines, query])
  const goal = found[at] ?? -1
  /** @param {number} step */
  const jump = (step) => {
    if (found.length === 0) return
    setFollow(false)
    setAt((at + step + found.length) % found.length)
  }
  const view = { follow, setFollow, times, goal, found }
  return html`
    <section class=${`log ${log.ended ? 'is-ended' : ''} ${full ? 'is-full' : ''}`} aria-label=${`Log: ${title}`} data-log=${log.operationId}>
      <header class="log-bar">
        <span class="log-title"><${Icon} name="log" />Log ${log.ended ? html`<span class="log-state">of operation ${log.operationId}</span>` : html`<${Silence} since=${log.lines.at(-1)?.at ?? since} skew=${skew} />`}</span>
        ${full && html`<${Search} query=${query} setQuery=${setQuery} jump=${jump} at=${at} count=${found.length} setAt=${setAt} />`}
        <button type="button" class="small" data-follow aria-pressed=${follow} onClick=${() => setFollow(!follow)}>Follow</button>
        ${full && html`<${Tools} log=${log} times=${times} setTimes=${setTimes} />`}
        ${!full && html`<a class="small" href=${appPath(log.app, log.operationId)}>Whole log</a>`}
        ${!full && html`<button type="button" class="small square" onClick=${actions.closeLog} aria-label="Close the log"><${Icon} name="close" /></button>`}
      </header>
      <${Lines} log=${log} ...${view} />
    </section>
  `
}

/** @param {LogLine[]} lines @param {string} query */
function search(lines, query) {
  const wanted = query.trim().toLowerCase()
  /** @type {number[]} */
  const found = []
  if (wanted === '') return found
  for (const [index, { line }] of lines.entries())
    if (plainText(line).toLowerCase().includes(wanted)) found.push(index)
  return found
}

/**
 * @param {{ query: string, setQuery: (query: string) => void, jump: (step: number) => void, at: number,
 *   setAt: (at: number) => void, count: number }} props
 */
function Search({ query, setQuery, jump, at, setAt, count }) {
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.key === 'Enter') jump(event.shiftKey ? -1 : 1)
  }
  /** @param {any} event */
  const onInput = (event) => {
    setQuery(event.target.value)
    setAt(-1)
  }
  return html`
    <span class="log-search">
      <input type="search" name="log-search" aria-label="Search the log" placeholder="Search" value=${query} onInput=${onInput} onKeyDown=${onKey} />
      ${query.trim() && html`<span class="log-state" role="status">${count === 0 ? 'not found' : `${at < 0 ? '–' : at + 1} of ${count}`}</span>`}
      <button type="button" class="small square" aria-label="Previous match" disabled=${count === 0} onClick=${() => jump(-1)}><${Icon} name="up" /></button>
      <button type="button" class="small square" aria-label="Next match" disabled=${count === 0} onClick=${() => jump(1)}><${Icon} name="down" /></button>
    </span>
  `
}

/** @param {{ log: Log, times: boolean, setTimes: (times: boolean) => void }} props */
const Tools = ({ log, times, setTimes }) => html`
  <button type="button" class="small" aria-pressed=${times} onClick=${() => setTimes(!times)}>Times</button>
  <${CopyButton} text=${() => log.lines.map(({ line }) => plainText(line)).join('\n')} label="Copy" name="Copy the log" />
  <a class="small" href=${`/api/operations/${encodeURIComponent(log.operationId)}/log`} download=${`${log.app}-${log.operationId}.log`}>Download</a>
  <a class="small" href=${appPath(log.app, log.operationId)} aria-label=${`Link to operation ${log.operationId}`}>Link</a>
`

/**
 * Shows the visible lines of a log and MARGIN_LINES more lines above and below.
 * @param {{ log: Log, follow: boolean, setFollow: (follow: boolean) => void, times: boolean, goal: number,
 *   found: number[] }} props
 */
function Lines({ log, follow, setFollow, times, goal, found }) {
  const { lines, dropped, ended } = log
  const body = useRef(/** @type {HTMLElement | null} */ (null))
  const inner = useRef(/** @type {HTMLElement | null} */ (null))
  const [first, setFirst] = useState(0)
  const count = Math.ceil((body.current?.clientHeight ?? FIRST_LINES * LINE_PX) / LINE_PX) + 2 * MARGIN_LINES
  const from = Math.max(0, Math.min(first - MARGIN_LINES, lines.length - count))
  const matches = useMemo(() => new Set(found), [found])

  const onScroll = () => {
    const box = body.current
    if (!box) return
    setFirst(Math.floor(box.scrollTop / LINE_PX))
    setFollow(box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX)
  }
  useLayoutEffect(() => {
    const [box, content] = [body.current, inner.current]
    if (!box || !content) return
    // Sets the style by script, because the content security policy forbids style attributes.
    content.style.height = `${lines.length * LINE_PX}px`
    content.style.setProperty('--from', `${from * LINE_PX}px`)
    if (follow) box.scrollTop = box.scrollHeight
  }, [lines.length, from, follow])
  useLayoutEffect(() => {
    if (goal >= 0 && body.current) body.current.scrollTop = goal * LINE_PX - body.current.clientHeight / 2
  }, [goal])

  return html`
    <div class="log-body" ref=${body} onScroll=${onScroll} tabindex="0" role="group" aria-label="Lines of the log">
      ${dropped > 0 && html`<p class="log-note">${dropped} earlier lines are in the file to download.</p>`}
      <div class="log-lines" ref=${inner}>
        <div class="log-window">
          ${lines.slice(from, from + count).map((line, index) => html`<${Line} key=${line.line_no} line=${line} times=${times} mark=${matchClass(from + index, goal, matches)} />`)}
        </div>
      </div>
      ${lines.length === 0 && html`<p class="log-note">${ended ? 'Nothing was written.' : 'Waiting for the first line…'}</p>`}
    </div>
  `
}

/** @param {number} index @param {number} goal @param {Set<number>} matches */
function matchClass(index, goal, matches) {
  if (index === goal) return 'is-goal'
  return matches.has(index) ? 'is-match' : ''
}

/** @param {{ line: LogLine, times: boolean, mark: string }} props */
const Line = ({ line, times, mark }) =>
  useMemo(
    () =>
      html`<div class=${`log-line ${mark}`}>${times && html`<span class="log-time">${timeOf(line.at)}</span>`}${logLine(line.line)}</div>`,
    [line, times, mark],
  )

/** @param {string} at */
const timeOf = (at) => new Date(at).toLocaleTimeString([], { hour12: false })

/**
 * @param {{ since: string | undefined, skew: number }} props
 */
function Silence({ since, skew }) {
  const isBrowser = useIsBrowser()
  const silence = useTime((now) => {
    const ms = isBrowser && since ? now - skew - Date.parse(since) : 0
    return ms >= SILENT_MS ? clock(ms) : null
  })
  return silence === null
    ? html`<span class="log-state is-live">live</span>`
    : html`<span class="log-state is-quiet">no output for ${silence}</span>`
}
