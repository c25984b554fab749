import { checkInvariants } from '../db/invariant.ts'
import { isCatalogRefreshQueued, prune } from '../db/rebuild.ts'
import { refreshCatalog } from './catalog.ts'
import type { Context } from './context.ts'

/** Of each app, this many operations keep their history for ever. */
const KEEP_OPERATIONS = 10
/** Rows forgotten in one transaction, so that it stays short. */
const PRUNE_BATCH = 1_000
const PRUNE_EVERY_MS = 60 * 60_000

/** What a leader does beside its work: the catalog, old history, and a look at what must always hold. */
export function createHousekeeping(context: Context): { tick(): Promise<void> } {
  const { pool, attempt, log, signal, retentionDays } = context
  let begun = false
  let pruneAt = 0

  async function begin(): Promise<void> {
    await refreshCatalog(context)
    for (const violation of await checkInvariants(pool)) log.error(violation, 'an invariant does not hold')
    begun = true
  }

  async function forget(): Promise<void> {
    let gone = 0
    for (let batch = -1; batch !== 0 && !signal.aborted; gone += batch) {
      batch = await prune(pool, attempt, retentionDays, KEEP_OPERATIONS, PRUNE_BATCH)
    }
    if (gone > 0) log.info({ rows: gone, olderThanDays: retentionDays }, 'old history is forgotten')
    pruneAt = Date.now() + PRUNE_EVERY_MS
  }

  return {
    /** A failure is logged and tried again with the next tick: it must not keep anybody's install waiting. */
    async tick() {
      try {
        if (!begun) await begin()
        else if (await isCatalogRefreshQueued(pool)) await refreshCatalog(context)
        if (Date.now() >= pruneAt) await forget()
      } catch (error) {
        log.warn({ err: error }, 'housekeeping failed and is tried again')
      }
    },
  }
}
