/** Follows the one log the page shows, as a stream or by asking. */
import { getLog } from './api.js'

/** @import { LogLine, Message } from '../types.js' */

/** At most this often the lines of a log are handed on; a build can print thousands in a second. */
const BATCH_MS = 60
/** Between two questions where no stream may be held. */
const POLL_MS = 2000
/** Lines of an answer that is probably not the last one. */
const FULL_ANSWER = 1000

/** @typedef {{ stop(): void }} Following */

/**
 * Keeps the one log on what the page shows: stream or questions, and nothing while nobody looks.
 * @param {{ wanted: () => string | null, polls: () => boolean, onMessage: (message: Message) => void }} options
 */
export function createLogs({ wanted, polls, onMessage }) {
  /** @type {(Following & { id: string, polling: boolean }) | null} */
  let open = null
  return {
    tune() {
      const id = wanted()
      const polling = polls()
      if ((open?.id ?? null) === id && (open === null || open.polling === polling)) return
      open?.stop()
      open = id === null ? null : { id, polling, ...(polling ? pollLog : followLog)(id, onMessage) }
    },
  }
}

/**
 * The log of one operation, in batches. EventSource resumes by line number when the line breaks.
 * @param {string} operationId
 * @param {(message: Message) => void} onMessage
 * @param {typeof EventSource} [Source]
 * @returns {Following}
 */
export function followLog(operationId, onMessage, Source = globalThis.EventSource) {
  const source = new Source(`/api/operations/${encodeURIComponent(operationId)}/log`)
  /** @type {LogLine[]} */
  let lines = []
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  function flush() {
    timer = undefined
    if (lines.length) onMessage({ type: 'log-lines', operationId, lines })
    lines = []
  }
  source.addEventListener('line', (event) => {
    const line = JSON.parse(event.data)
    lines.push({ ...line, line_no: Number(line.line_no) })
    timer ??= setTimeout(flush, BATCH_MS)
  })
  source.addEventListener('end', () => {
    source.close()
    flush()
    onMessage({ type: 'log-end', operationId })
  })
  // A refusal (no such log) ends it as well: the browser has given up, and nothing more will come.
  source.addEventListener('error', () => {
    if (source.readyState === Source.CLOSED) onMessage({ type: 'log-end', operationId })
  })
  return {
    stop() {
      clearTimeout(timer)
      source.close()
    },
  }
}

/** @param {string} operationId @param {(message: Message) => void} onMessage @returns {Following} */
export function pollLog(operationId, onMessage, ask = getLog) {
  let after = 0
  let stopped = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  async function look() {
    // An answer that does not come is asked for again; what is there stays.
    const { lines, over } = await ask(operationId, after).catch(() => ({ lines: [], over: false }))
    if (stopped) return
    after = Number(lines.at(-1)?.line_no ?? after)
    if (lines.length) onMessage({ type: 'log-lines', operationId, lines })
    if (over) onMessage({ type: 'log-end', operationId })
    else timer = setTimeout(look, lines.length >= FULL_ANSWER ? 0 : POLL_MS)
  }
  void look()
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
