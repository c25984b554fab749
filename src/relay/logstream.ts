/**
 * The output of the rebuild an operation rides in, to anybody who follows it. Woken by the bell of the log; readers
 * that stand at the same line share one query.
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
  /** Whether nothing will be added any more. */
  isOver(operation: number): Promise<boolean>
}

const LOG_LIMITS = {
  /** Lines of one read. */
  pageLines: 500,
  heartbeatMs: 15_000,
  /** A look at the database in case a bell was lost. */
  tickMs: 5000,
  stuckMs: 15_000,
  readLimitMs: 10_000,
  /** Before the next try after a read that failed. */
  retryMs: 1000,
  readers: 500,
}

export type LogLimits = typeof LOG_LIMITS

/** How lines become bytes. */
export interface LogForm {
  lines(lines: readonly LogLine[]): Uint8Array
  /** Written at once: headers only leave with the first bytes, and there may be no line for a while. */
  begin: Uint8Array
  /** Said when the log is complete. */
  end: Uint8Array
  heartbeat: Uint8Array
  /** Whether to wait for lines to come; otherwise what is there now is all. */
  follow: boolean
}

const encoder = new TextEncoder()
const NOTHING = new Uint8Array()

export const TEXT_LOG: LogForm = {
  lines: (lines) => encoder.encode(lines.map((one) => `${one.line}\n`).join('')),
  begin: NOTHING,
  end: NOTHING,
  heartbeat: NOTHING,
  follow: false,
}

export const SSE_LOG: LogForm = {
  lines: (lines) => Buffer.concat(lines.map((one) => sse('line', one, String(one.line_no)))),
  begin: COMMENT,
  end: sse('end', {}),
  heartbeat: encoder.encode(': heartbeat\n\n'),
  follow: true,
}

interface Reader {
  readonly queue: SendQueue
  readonly operation: number
  readonly form: LogForm
  after: number
  busy: boolean
  /** The bell rang while it was busy. */
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
  const sharePage = createShared<{ lines: readonly LogLine[]; over: boolean }>()
  let timers: NodeJS.Timeout[] = []

  async function load(operation: number, after: number) {
    // First whether it is over, then the lines: the other way round, the last ones could come in between.
    const over = await source.isOver(operation)
    const lines = await source.operationLog(operation, after, limits.pageLines)
    return { over, lines }
  }

  const readPage = ({ operation, after }: Reader) =>
    sharePage(`${operation}/${after}`, () =>
      withTimeout(load(operation, after), limits.readLimitMs, timeLimitError('Reading the log')),
    )

  function finish(reader: Reader): void {
    if (!readers.delete(reader)) return
    send(reader.queue, reader.form.end)
    discard(reader.queue)
    reader.queue.sink.end()
  }

  async function readOn(reader: Reader): Promise<void> {
    while (isIdle(reader.queue)) {
      reader.again = false
      const { lines, over } = await readPage(reader)
      if (reader.queue.closed) return
      reader.after = lines.at(-1)?.line_no ?? reader.after
      send(reader.queue, reader.form.lines(lines))
      if (lines.length === limits.pageLines || reader.again) continue
      if ((over || !reader.form.follow) && isIdle(reader.queue)) finish(reader)
      return
    }
  }

  async function wake(reader: Reader): Promise<void> {
    reader.again = true
    if (reader.busy) return
    reader.busy = true
    try {
      await readOn(reader)
    } catch (error) {
      options.log.warn({ error: String(error), operation: reader.operation }, 'a log cannot be read')
      clearTimeout(reader.retry)
      reader.retry = setTimeout(() => void wake(reader), limits.retryMs)
    } finally {
      reader.busy = false
    }
  }

  function wakeAll(): void {
    for (const reader of readers) void wake(reader)
  }

  function beat(): void {
    for (const { queue, form } of readers) if (isIdle(queue)) send(queue, form.heartbeat)
  }

  function drop(reader: Reader): void {
    readers.delete(reader)
    clearTimeout(reader.retry)
    discard(reader.queue)
  }

  function sweep(): void {
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
        setInterval(beat, limits.heartbeatMs),
        setInterval(sweep, limits.stuckMs / 10),
      ]
    },
    stop(): void {
      for (const timer of timers) clearInterval(timer)
      for (const reader of [...readers]) {
        drop(reader)
        reader.queue.sink.end()
      }
    },
    /** Lines were added, or an operation ended. */
    notified: wakeAll,
    isFull: () => readers.size >= limits.readers,
    open,
    get size() {
      return readers.size
    },
  }
}
