/**
 * Streams the log of an operation to any number of readers (HTTP clients). Readers that wait for the same
 * line share one database query.
 */
import type { LogLine } from '../domain/operation.ts'
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { createShared } from './coalesce.ts'
import { sse } from './frame.ts'
import {
  COMMENT,
  type ConnectionEvents,
  createSendQueue,
  discard,
  isIdle,
  isStuck,
  resume,
  type SendQueue,
  type Sink,
  send,
} from './sendqueue.ts'
import type { RelayLog } from './streamsource.ts'

export interface LogSource {
  operationLog(operation: number, after: number, limit: number): Promise<readonly LogLine[]>
  /** Returns true if the log of the operation is complete. */
  isOver(operation: number): Promise<boolean>
}

const LOG_LIMITS = {
  readLines: 500,
  heartbeatMs: 15_000,
  /**
   * Interval in milliseconds of reads without a PostgreSQL notification. These reads find log lines whose
   * notification was lost.
   */
  tickMs: 5000,
  /** Readers are closed if their connection has accepted no data for this time, in milliseconds. */
  stuckMs: 15_000,
  readLimitMs: 10_000,
  retryMs: 1000,
  readers: 500,
}

export type LogLimits = typeof LOG_LIMITS

/** Format in which a log is sent to a reader: plain text or Server-Sent Events. */
export interface LogForm {
  lines(lines: readonly LogLine[]): Uint8Array
  /**
   * First bytes of the response. Without these bytes, the headers would be sent only with the first log line.
   */
  begin: Uint8Array
  end: Uint8Array
  heartbeat: Uint8Array
  /** True if the stream stays open for new lines. */
  follow: boolean
}

const encoder = new TextEncoder()
const NOTHING = new Uint8Array()

export const TEXT_LOG: LogForm = {
  lines: (lines) => encoder.encode(lines.map(({ line }) => `${line}\n`).join('')),
  begin: NOTHING,
  end: NOTHING,
  heartbeat: NOTHING,
  follow: false,
}

export const SSE_LOG: LogForm = {
  lines: (lines) => Buffer.concat(lines.map((line) => sse('line', line, String(line.line_no)))),
  begin: COMMENT,
  end: sse('end', {}),
  heartbeat: encoder.encode(': heartbeat\n\n'),
  follow: true,
}

interface Reader {
  readonly queue: SendQueue
  readonly operation: number
  readonly form: LogForm
  /** Number of the last log line that was sent to the reader. */
  after: number
  busy: boolean
  /** True if new lines were announced during a read, so that another read must follow. */
  again: boolean
  retry: NodeJS.Timeout | undefined
}

export type LogStreams = ReturnType<typeof createLogStreams>

export interface LogStreamsOptions {
  source: LogSource
  log: RelayLog
  limits?: Partial<LogLimits>
}

export function createLogStreams(options: LogStreamsOptions) {
  const { source } = options
  const limits = { ...LOG_LIMITS, ...options.limits }
  const readers = new Set<Reader>()
  const shareRead = createShared<{ lines: readonly LogLine[]; over: boolean }>()
  let timers: NodeJS.Timeout[] = []

  async function load(operation: number, after: number) {
    // The state of the operation is read before its log lines. In the opposite order, the last lines could be
    // added between the two reads and would never be sent.
    const over = await source.isOver(operation)
    const lines = await source.operationLog(operation, after, limits.readLines)
    return { over, lines }
  }

  const readLinesFor = ({ operation, after }: Reader) =>
    shareRead(`${operation}/${after}`, () =>
      withTimeout(load(operation, after), limits.readLimitMs, timeLimitError('Reading the log')),
    )

  function finish(reader: Reader): void {
    if (!readers.delete(reader)) return
    send(reader.queue, reader.form.end)
    discard(reader.queue)
    reader.queue.sink.end()
  }

  /** Sends log lines to the reader until its connection is full or all lines are sent. */
  async function readOn(reader: Reader): Promise<void> {
    while (isIdle(reader.queue)) {
      reader.again = false
      const { lines, over } = await readLinesFor(reader)
      if (reader.queue.closed) return
      reader.after = lines.at(-1)?.line_no ?? reader.after
      send(reader.queue, reader.form.lines(lines))
      if (lines.length === limits.readLines || reader.again) continue
      if ((over || !reader.form.follow) && isIdle(reader.queue)) finish(reader)
      return
    }
  }

  /**
   * Reads new log lines for the reader. If a read for this reader is in progress, another read follows. A
   * failed read is repeated after `retryMs`.
   */
  async function wake(reader: Reader): Promise<void> {
    reader.again = true
    if (reader.busy) return
    reader.busy = true
    try {
      await readOn(reader)
    } catch (error) {
      options.log.warn(
        { error: String(error), operation: reader.operation },
        'the log cannot be read; the next attempt follows',
      )
      clearTimeout(reader.retry)
      reader.retry = setTimeout(() => void wake(reader), limits.retryMs)
    } finally {
      reader.busy = false
    }
  }

  function wakeAll(): void {
    for (const reader of readers) void wake(reader)
  }

  function sendHeartbeats(): void {
    for (const { queue, form } of readers) if (isIdle(queue)) send(queue, form.heartbeat)
  }

  function drop(reader: Reader): void {
    readers.delete(reader)
    clearTimeout(reader.retry)
    discard(reader.queue)
  }

  function closeStuckReaders(): void {
    for (const reader of [...readers]) {
      if (!isStuck(reader.queue, limits.stuckMs)) continue
      drop(reader)
      reader.queue.sink.close()
    }
  }

  function open(sink: Sink, operation: number, after: number, form: LogForm): ConnectionEvents {
    const reader: Reader = {
      queue: createSendQueue(sink),
      operation,
      form,
      after,
      busy: false,
      again: false,
      retry: undefined,
    }
    readers.add(reader)
    send(reader.queue, form.begin)
    void wake(reader)
    return {
      writable() {
        if (!reader.queue.closed && resume(reader.queue, form.heartbeat)) void wake(reader)
      },
      closed: () => drop(reader),
    }
  }

  return {
    start(): void {
      timers = [
        setInterval(wakeAll, limits.tickMs),
        setInterval(sendHeartbeats, limits.heartbeatMs),
        setInterval(closeStuckReaders, limits.stuckMs / 10),
      ]
    },
    stop(): void {
      for (const timer of timers) clearInterval(timer)
      for (const reader of [...readers]) {
        drop(reader)
        reader.queue.sink.end()
      }
    },
    /** Called after a PostgreSQL notification that log lines were added or that an operation ended. */
    notified: wakeAll,
    isFull: () => readers.size >= limits.readers,
    open,
    get size() {
      return readers.size
    },
  }
}
