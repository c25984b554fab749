/** All apps at one moment, made once for everybody who asks at about the same time. */
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { createCoalesced } from './coalesce.ts'
import type { Filter } from './filter.ts'
import { snapshotTexts } from './frame.ts'
import type { Snapshot, StreamSource } from './streamsource.ts'
import type { Tail } from './tail.ts'

/** Milliseconds for which a snapshot is given out again while no event came: some of its facts (a place in the queue,
 *  what may be pressed) can change without one. */
const MAX_AGE_MS = 1000
/** Looks at the database before giving up on one that agrees with the stream's epoch. */
const MAX_TRIES = 3

export interface TakenSnapshot {
  epoch: string
  seq: number
  /** As the answer of `GET /api/status`. */
  json: Uint8Array
  /** As an event of the stream, with the apps the filter lets through. */
  frameFor(filter: Filter | undefined): Uint8Array
}

/** Different choices of apps of which the frames of one snapshot are kept. */
const KEPT_CHOICES = 32

function take(snapshot: Snapshot): TakenSnapshot {
  const { json, frame } = snapshotTexts(snapshot)
  const kept = new Map<string, Uint8Array>()

  function frameFor(filter: Filter | undefined): Uint8Array {
    if (!filter) return frame
    const known = kept.get(filter.key)
    if (known) return known
    const some = {
      ...snapshot,
      apps: snapshot.apps.filter((app: { name?: string }) => filter.lets(app.name)),
    }
    const made = snapshotTexts(some).frame
    if (kept.size < KEPT_CHOICES) kept.set(filter.key, made)
    return made
  }

  return { epoch: snapshot.epoch, seq: snapshot.seq, json, frameFor }
}

export type Snapshots = ReturnType<typeof createSnapshots>

export function createSnapshots(source: StreamSource, tail: Tail, readLimitMs: number) {
  let last: { taken: TakenSnapshot; at: number } | undefined
  let version = 0

  async function load(): Promise<TakenSnapshot> {
    const before = version
    const snapshot = await withTimeout(source.snapshot(), readLimitMs, timeLimitError('Reading the snapshot'))
    const taken = take(snapshot)
    last = before === version ? { taken, at: performance.now() } : undefined
    return taken
  }

  /** As new as the call, at least. */
  const fresh = createCoalesced(load)

  function usable(): TakenSnapshot | undefined {
    const head = tail.head
    if (!last || !head || performance.now() - last.at > MAX_AGE_MS) return undefined
    return last.taken.epoch === head.epoch && last.taken.seq >= head.seq ? last.taken : undefined
  }

  /** One that the stream can be continued from. */
  async function current(): Promise<TakenSnapshot> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const taken = usable() ?? (await fresh())
      if (taken.epoch === tail.head?.epoch) return taken
      await tail.sync()
    }
    throw new Error('the snapshot and the history do not agree on the epoch')
  }

  return {
    fresh,
    current,
    /** Something changed that may not be an event. */
    forget(): void {
      version += 1
      last = undefined
    },
  }
}
