/**
 * Reads old events from the database for clients that missed more events than the ring buffer contains. The
 * events are read in pages that begin at fixed event numbers, so that many clients can share a page.
 */
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { createShared } from './coalesce.ts'
import type { Head } from './eventid.ts'
import type { Filter } from './filter.ts'
import { appFrame } from './frame.ts'
import type { StreamSource } from './streamsource.ts'

/**
 * Upper limit of the number of cached pages. A few pages are enough, because clients that reconnect at the
 * same time read the same pages.
 */
const CACHED_PAGES = 8

export interface BacklogPage {
  epoch: string
  /** Largest event number (seq) that belongs to this page. */
  end: number
  /**
   * Event number (seq) up to which old events had been deleted from the database before the page was read.
   * The page may lack these events.
   */
  prunedTo: number
  seqs: readonly number[]
  apps: readonly (string | undefined)[]
  /** Offset in `bytes` at which each event begins. `seqs`, `apps` and `offsets` have the same order. */
  offsets: readonly number[]
  bytes: Uint8Array
}

export type Backlog = ReturnType<typeof createBacklog>

export function createBacklog(source: StreamSource, rows: number, readLimitMs: number) {
  const share = createShared<BacklogPage>()
  const cache = new Map<string, BacklogPage>()

  async function read(start: number): Promise<BacklogPage> {
    const events = await source.streamAfter(start, rows)
    const head: Head = await source.head()
    const inPage = events.filter((event) => event.seq <= start + rows)
    const frames = inPage.map((event) => Buffer.from(appFrame(event).text))
    let offset = 0
    const offsets = frames.map((frame) => {
      offset += frame.length
      return offset - frame.length
    })
    return {
      epoch: head.epoch,
      end: Math.min(start + rows, head.seq),
      prunedTo: head.prunedTo,
      seqs: inPage.map((event) => event.seq),
      apps: inPage.map((event) => event.app),
      offsets,
      bytes: Buffer.concat(frames),
    }
  }

  /**
   * Reads a page of old events from the database. Only a full page is cached, because new events can still be
   * added to the last page.
   */
  async function load(key: string, start: number): Promise<BacklogPage> {
    const backlogPage = await withTimeout(read(start), readLimitMs, timeLimitError('Reading the backlog'))
    if (backlogPage.end < start + rows) return backlogPage
    cache.set(key, backlogPage)
    const oldest = cache.keys().next().value
    if (cache.size > CACHED_PAGES && oldest !== undefined) cache.delete(oldest)
    return backlogPage
  }

  return {
    /** Returns the page that contains the events after `seq`, from the cache or from the database. */
    async at(epoch: string, seq: number): Promise<BacklogPage> {
      const start = Math.floor(seq / rows) * rows
      const key = `${epoch}.${start}`
      return cache.get(key) ?? share(key, () => load(key, start))
    },
    clear: () => cache.clear(),
  }
}

/**
 * Returns the encoded events of a page that come after `seq` and pass the filter, possibly an empty array.
 */
export function backlogBytesAfter(backlogPage: BacklogPage, seq: number, filter?: Filter): Uint8Array {
  const { seqs, apps, offsets, bytes } = backlogPage
  const first = seqs.findIndex((each) => each > seq)
  if (first < 0) return bytes.subarray(bytes.length)
  if (!filter) return bytes.subarray(offsets[first])
  const frames = apps.flatMap((app, index) =>
    index >= first && filter.includes(app) ? [bytes.subarray(offsets[index], offsets[index + 1])] : [],
  )
  return Buffer.concat(frames)
}
