/**
 * Old events, for clients that were away longer than the ring reaches back. Pages begin at multiples of their size, so
 * that clients that left at different places read the same pages, and each page is read once.
 */
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { createShared } from './coalesce.ts'
import type { Head } from './eventid.ts'
import type { Filter } from './filter.ts'
import { appFrame } from './frame.ts'
import type { StreamSource } from './streamsource.ts'

/** Full pages that are kept: a crowd that comes back walks through them in step. */
const KEPT_PAGES = 8

export interface BacklogPage {
  epoch: string
  /** Everything up to and including this number has been looked at. */
  end: number
  /** How far the history was pruned *after* the page was read: rows up to there may lack. */
  prunedTo: number
  seqs: readonly number[]
  /** Whose each event is. */
  apps: readonly (string | undefined)[]
  /** Where each event begins in `bytes`. */
  offsets: readonly number[]
  bytes: Uint8Array
}

export type Backlog = ReturnType<typeof createBacklog>

export function createBacklog(source: StreamSource, rows: number, readLimitMs: number) {
  const share = createShared<BacklogPage>()
  const kept = new Map<string, BacklogPage>()

  async function read(start: number): Promise<BacklogPage> {
    const events = await source.streamAfter(start, rows)
    const head: Head = await source.head()
    const inside = events.filter((event) => event.seq <= start + rows)
    const frames = inside.map((event) => Buffer.from(appFrame(event).text))
    let offset = 0
    const offsets = frames.map((frame) => {
      offset += frame.length
      return offset - frame.length
    })
    return {
      epoch: head.epoch,
      end: Math.min(start + rows, head.seq),
      prunedTo: head.prunedTo,
      seqs: inside.map((event) => event.seq),
      apps: inside.map((event) => event.app),
      offsets,
      bytes: Buffer.concat(frames),
    }
  }

  async function load(key: string, start: number): Promise<BacklogPage> {
    const page = await withTimeout(read(start), readLimitMs, timeLimitError('Reading old events'))
    if (page.end < start + rows) return page
    kept.set(key, page)
    const eldest = kept.keys().next().value
    if (kept.size > KEPT_PAGES && eldest !== undefined) kept.delete(eldest)
    return page
  }

  return {
    /** The page in which the event after `seq` is. */
    async at(epoch: string, seq: number): Promise<BacklogPage> {
      const start = Math.floor(seq / rows) * rows
      const key = `${epoch}.${start}`
      return kept.get(key) ?? share(key, () => load(key, start))
    },
    forget: () => kept.clear(),
  }
}

/** The part of a page that follows `seq` and `filter` lets through; empty when nothing does. */
export function pageAfter(page: BacklogPage, seq: number, filter?: Filter): Uint8Array {
  const index = page.seqs.findIndex((one) => one > seq)
  if (index < 0) return page.bytes.subarray(page.bytes.length)
  if (!filter) return page.bytes.subarray(page.offsets[index])
  const pieces = page.apps.flatMap((app, at) =>
    at >= index && filter.lets(app) ? [page.bytes.subarray(page.offsets[at], page.offsets[at + 1])] : [],
  )
  return Buffer.concat(pieces)
}
