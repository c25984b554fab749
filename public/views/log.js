import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { plainText } from '../state/ansi.js'
import { appPath } from '../state/route.js'
import { clock } from '../state/text.js'
import { Copy } from './copybutton.js'
import { html } from './html.js'
import { Icon } from './icon.js'
import { logLine } from './logline.js'
import { useHere, useTime } from './time.js'

/** @import { Log, LogLine, Actions } from '../types.js' */

/** Silence worth mentioning. */
const SILENT_MS = 40_000
/** Close enough to the end to count as reading along. */
const AT_END_PX = 24
/** As in css/log.css: lines are all alike, so that only those to be seen have to be drawn. */
const LINE_PX = 18
/** Lines drawn beyond what is to be seen, so that nothing is missing while scrolling. */
const MARGIN_LINES = 30
/** Lines to be seen before the height is known. */
const FIRST_LINES = 40

/** `since`: when what is logged began. @param {{ log: Log, title: string, since: string | undefined, skew: number, verbs: Actions, full?: boolean }} props */
export function LogPanel({ log, title, since, skew, verbs, full = false }) {
  const [follow, setFollow] = useState(true)
  const [words, setWords] = useState('')
  const [times, setTimes] = useState(false)
  const [at, setAt] = useState(-1)
  const found = useMemo(() => search(log.lines, words), [log.lines, words])
  const goal = found[at] ?? -1
  /** @param {number} step */
  const jump = (step) => {
    if (found.length === 0) return
    setFollow(false)
    setAt((at + step + found.length) % found.length)
  }
  const show = { follow, setFollow, times, goal, found }
  return html`
    <section class=${`log ${log.ended ? 'is-ended' : ''} ${full ? 'is-full' : ''}`} aria-label=${`Log: ${title}`} data-log=${log.operationId}>
      <header class="log-bar">
        <span class="log-title"><${Icon} name="log" />Log ${log.ended ? html`<span class="log-state">of operation ${log.operationId}</span>` : html`<${Quiet} since=${log.lines.at(-1)?.at ?? since} skew=${skew} />`}</span>
        ${full && html`<${Search} words=${words} setWords=${setWords} jump=${jump} at=${at} count=${found.length} setAt=${setAt} />`}
        <button type="button" class="small" data-follow aria-pressed=${follow} onClick=${() => setFollow(!follow)}>Follow</button>
        ${full && html`<${Tools} log=${log} times=${times} setTimes=${setTimes} />`}
        ${!full && html`<a class="small" href=${appPath(log.app, log.operationId)}>Whole log</a>`}
        ${!full && html`<button type="button" class="small square" onClick=${verbs.closeLog} aria-label="Close the log"><${Icon} name="close" /></button>`}
      </header>
      <${Lines} log=${log} ...${show} />
    </section>
  `
}

/** Where the words are, as they are shown: indexes of lines. @param {LogLine[]} lines @param {string} words */
function search(lines, words) {
  const wanted = words.trim().toLowerCase()
  /** @type {number[]} */
  const found = []
  if (wanted === '') return found
  for (const [index, { line }] of lines.entries())
    if (plainText(line).toLowerCase().includes(wanted)) found.push(index)
  return found
}

/** @param {{ words: string, setWords: (words: string) => void, jump: (step: number) => void, at: number, setAt: (at: number) => void, count: number }} props */
function Search({ words, setWords, jump, at, setAt, count }) {
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.key === 'Enter') jump(event.shiftKey ? -1 : 1)
  }
  /** @param {any} event */
  const onInput = (event) => {
    setWords(event.target.value)
    setAt(-1)
  }
  return html`
    <span class="log-search">
      <input type="search" name="log-search" aria-label="Search the log" placeholder="Search" value=${words} onInput=${onInput} onKeyDown=${onKey} />
      ${words.trim() && html`<span class="log-state" role="status">${count === 0 ? 'not found' : `${at < 0 ? '–' : at + 1} of ${count}`}</span>`}
      <button type="button" class="small square" aria-label="Previous match" disabled=${count === 0} onClick=${() => jump(-1)}><${Icon} name="up" /></button>
      <button type="button" class="small square" aria-label="Next match" disabled=${count === 0} onClick=${() => jump(1)}><${Icon} name="down" /></button>
    </span>
  `
}

/** @param {{ log: Log, times: boolean, setTimes: (times: boolean) => void }} props */
const Tools = ({ log, times, setTimes }) => html`
  <button type="button" class="small" aria-pressed=${times} onClick=${() => setTimes(!times)}>Times</button>
  <${Copy} text=${() => log.lines.map(({ line }) => plainText(line)).join('\n')} label="Copy" name="Copy the log" />
  <a class="small" href=${`/api/operations/${encodeURIComponent(log.operationId)}/log`} download=${`${log.app}-${log.operationId}.log`}>Download</a>
  <a class="small" href=${appPath(log.app, log.operationId)} aria-label=${`Link to operation ${log.operationId}`}>Link</a>
`

/**
 * Of any number of lines only those to be seen, and some around them.
 * @param {{ log: Log, follow: boolean, setFollow: (follow: boolean) => void, times: boolean, goal: number, found: number[] }} props
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
    // By the object model, as a style attribute is not allowed here.
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
          ${lines.slice(from, from + count).map((line, index) => html`<${Line} key=${line.line_no} line=${line} times=${times} mark=${markOf(from + index, goal, matches)} />`)}
        </div>
      </div>
      ${lines.length === 0 && html`<p class="log-note">${ended ? 'Nothing was written.' : 'Waiting for the first line…'}</p>`}
    </div>
  `
}

/** @param {number} index @param {number} goal @param {Set<number>} matches */
function markOf(index, goal, matches) {
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

/** Silent since the last line, or since it began. @param {{ since: string | undefined, skew: number }} props */
function Quiet({ since, skew }) {
  const here = useHere()
  const silence = useTime((now) => {
    const ms = here && since ? now - skew - Date.parse(since) : 0
    return ms >= SILENT_MS ? clock(ms) : null
  })
  return silence === null
    ? html`<span class="log-state is-live">live</span>`
    : html`<span class="log-state is-quiet">no output for ${silence}</span>`
}
