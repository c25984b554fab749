/** Reads the log that the page displays, by EventSource or by polling. */
import { getLog } from './api.js'

/** @import { LogLine, Message } from '../types.js' */

/** Interval in ms between two batches of log lines. A build can print thousands of lines per second. */
const BATCH_MS = 60
/** Interval in ms between two polls of the log. */
const POLL_MS = 2000
/**
 * Upper limit of log lines in a response of the agent. After a full response the next poll follows at once.
 */
const FULL_RESPONSE = 1000

/** @typedef {{ stop(): void }} LogReader */

/**
 * Returns an object with a function `sync`, which starts and stops the reader of the displayed log.
 * @param {object} options
 * @param {() => string | null} options.wanted id of the operation whose log is shown
 * @param {() => boolean} options.polls true if the log is polled instead of streamed
 * @param {(message: Message) => void} options.onMessage
 */
export function createLogFollower({ wanted, polls, onMessage }) {
  /** @type {(LogReader & { id: string, polling: boolean }) | null} */
  let current = null
  return {
    /**
     * Starts, replaces or stops the reader. Must be called when the result of `wanted` or `polls` may have
     * changed.
     */
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
 * Starts to stream the log of one operation. After a lost connection the stream resumes after the last line.
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
  // If the log does not exist, the browser closes the EventSource for good. The log then counts as ended.
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
 * Starts to poll the log of one operation.
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
