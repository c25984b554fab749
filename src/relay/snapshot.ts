/** Reads snapshots (status of all apps at one event number) for clients. */
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { createCoalesced } from './coalesce.ts'
import type { Filter } from './filter.ts'
import { snapshotTexts } from './frame.ts'
import type { Snapshot, StreamSource } from './streamsource.ts'
import type { Tail } from './tail.ts'

/**
 * Age in milliseconds up to which a snapshot is sent to further clients. The age is limited, because some
 * data changes without an event, such as the position of an operation in the queue.
 */
const MAX_AGE_MS = 1000
/**
 * Upper limit of the number of attempts to read a snapshot of the same history (epoch) as the event stream.
 */
const MAX_TRIES = 3

export interface EncodedSnapshot {
  epoch: string
  seq: number
  /** Body of the response to `GET /api/status`. */
  json: Uint8Array
  /** Returns the snapshot as an event of the stream, with only the apps that pass the filter. */
  frameFor(filter: Filter | undefined): Uint8Array
}

const CACHED_FILTERS = 32

function encode(snapshot: Snapshot): EncodedSnapshot {
  const { json, frame } = snapshotTexts(snapshot)
  const frames = new Map<string, Uint8Array>()

  function frameFor(filter: Filter | undefined): Uint8Array {
    if (!filter) return frame
    const cached = frames.get(filter.key)
    if (cached) return cached
    const filtered = {
      ...snapshot,
      apps: snapshot.apps.filter((app: { name?: string }) => filter.includes(app.name)),
    }
    const filteredFrame = snapshotTexts(filtered).frame
    if (frames.size < CACHED_FILTERS) frames.set(filter.key, filteredFrame)
    return filteredFrame
  }

  return { epoch: snapshot.epoch, seq: snapshot.seq, json, frameFor }
}

export type Snapshots = ReturnType<typeof createSnapshots>

export function createSnapshots(source: StreamSource, tail: Tail, readLimitMs: number) {
  let last: { encoded: EncodedSnapshot; at: number } | undefined
  let version = 0

  async function load(): Promise<EncodedSnapshot> {
    const before = version
    const snapshot = await withTimeout(source.snapshot(), readLimitMs, timeLimitError('Reading the snapshot'))
    const encoded = encode(snapshot)
    last = before === version ? { encoded, at: performance.now() } : undefined
    return encoded
  }

  const fresh = createCoalesced(load)

  /**
   * Returns the last snapshot if it is young enough (`MAX_AGE_MS`) and includes all events that the relay has
   * read.
   */
  function reusable(): EncodedSnapshot | undefined {
    const head = tail.head
    if (!last || !head || performance.now() - last.at > MAX_AGE_MS) return undefined
    return last.encoded.epoch === head.epoch && last.encoded.seq >= head.seq ? last.encoded : undefined
  }

  /**
   * Returns a snapshot of the same history (epoch) as the event stream, so that the client can continue with
   * the events after the snapshot.
   */
  async function current(): Promise<EncodedSnapshot> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const encoded = reusable() ?? (await fresh())
      if (encoded.epoch === tail.head?.epoch) return encoded
      await tail.sync()
    }
    throw new Error(`the snapshot and the history have different epochs after ${MAX_TRIES} reads`)
  }

  return {
    fresh,
    current,
    /**
     * Discards the cached snapshot after a change that is not recorded as an event, such as a new display
     * name.
     */
    invalidate(): void {
      version += 1
      last = undefined
    },
  }
}
