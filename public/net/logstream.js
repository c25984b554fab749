/** Reads the log of the displayed operation from the agent, by EventSource or by polling. */
import { getLog } from './api.js'

/** @import { LogLine, Message } from '../types.js' */

/** Time in ms for which lines are collected before a render. A build can print thousands a second. */
const BATCH_MS = 60
const POLL_MS = 2000
/**
 * If a response contains at least this number of log lines, the next poll follows at once, because the log
 * probably has more lines.
 */
const FULL_RESPONSE = 1000

/** @typedef {{ stop(): void }} LogReader */

/**
 * Returns an object whose function `sync` starts and stops the reading of the displayed log.
 * @param {object} options
 * @param {() => string | null} options.wanted returns the id of the operation whose log is displayed
 * @param {() => boolean} options.polls returns true if the log is to be polled, false for an EventSource
 * @param {(message: Message) => void} options.onMessage
 */
export function createLogFollower({ wanted, polls, onMessage }) {
  /** @type {(LogReader & { id: string, polling: boolean }) | null} */
  let current = null
  return {
    /** Must be called whenever the result of `wanted` or `polls` may have changed. */
    sync() {
      const id = wanted()
      const polling = polls()
      if ((current?.id ?? null) === id && (current === null || current.polling === polling)) return
      current?.stop()
      current = id === null ? null : { id, polling, ...(polling ? pollLog : streamLog)(id, onMessage) }
    },
  }
}

/**
 * Reads the log of an operation by EventSource. After a reconnect the log continues after the last line.
 * @param {string} operationId
 * @param {(message: Message) => void} onMessage
 * @param {typeof EventSource} [Source]
 * @returns {LogReader}
 */
export function streamLog(operationId, onMessage, Source = globalThis.EventSource) {
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
  // The browser does not reconnect after an error response, for example if the log does not exist. The log
  // then counts as ended.
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

/**
 * @param {string} operationId
 * @param {(message: Message) => void} onMessage
 * @returns {LogReader}
 */
export function pollLog(operationId, onMessage, fetchLog = getLog) {
  let after = 0
  let stopped = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  async function poll() {
    // A failed request counts as an empty response, so the next poll requests the same lines again.
    const { lines, over } = await fetchLog(operationId, after).catch(() => ({ lines: [], over: false }))
    if (stopped) return
    after = Number(lines.at(-1)?.line_no ?? after)
    if (lines.length) onMessage({ type: 'log-lines', operationId, lines })
    if (over) onMessage({ type: 'log-end', operationId })
    else timer = setTimeout(poll, lines.length >= FULL_RESPONSE ? 0 : POLL_MS)
  }
  void poll()
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
