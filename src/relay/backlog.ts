/**
 * Reads old events from the database for clients whose position is older than the ring buffer. Events are
 * read in pages that begin at multiples of the page size. So clients with different positions share pages.
 */
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { createShared } from './coalesce.ts'
import type { Head } from './eventid.ts'
import type { Filter } from './filter.ts'
import { appFrame } from './frame.ts'
import type { StreamSource } from './streamsource.ts'

/**
 * Upper limit of the number of cached pages. A few pages are enough, because clients that reconnect together
 * read the pages in the same order.
 */
const CACHED_PAGES = 8

export interface BacklogPage {
  epoch: string
  /** Seq (number) of the last event that the page covers. */
  end: number
  /**
   * Seq up to which events were pruned. The value is read after the events, so events up to this seq may be
   * missing in the page.
   */
  prunedTo: number
  seqs: readonly number[]
  /** App of each event, in the order of `seqs`. */
  apps: readonly (string | undefined)[]
  /** Offset of each event in `bytes`, in the order of `seqs`. */
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

  /** Reads a backlog page. Only a full page is cached, because events can still be added to the last page. */
  async function load(key: string, start: number): Promise<BacklogPage> {
    const backlogPage = await withTimeout(read(start), readLimitMs, timeLimitError('Reading the backlog'))
    if (backlogPage.end < start + rows) return backlogPage
    cache.set(key, backlogPage)
    const oldest = cache.keys().next().value
    if (cache.size > CACHED_PAGES && oldest !== undefined) cache.delete(oldest)
    return backlogPage
  }

  return {
    /** Returns the backlog page that contains the event after `seq`, from the cache or from the database. */
    async at(epoch: string, seq: number): Promise<BacklogPage> {
      const start = Math.floor(seq / rows) * rows
      const key = `${epoch}.${start}`
      return cache.get(key) ?? share(key, () => load(key, start))
    },
    clear: () => cache.clear(),
  }
}

/**
 * Returns the encoded events of a page that are after `seq` and pass the filter. Returns an empty array if no
 * event remains.
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
