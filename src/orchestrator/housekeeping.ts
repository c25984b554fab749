import { isCatalogRefreshQueued } from '../db/catalog.ts'
import { checkInvariants } from '../db/invariant.ts'
import { prune } from '../db/retention.ts'
import { refreshCatalog } from './catalog.ts'
import type { Context } from './context.ts'

/** Number of newest operations of each app whose history is kept even if it is old. */
const KEEP_OPERATIONS = 10
/**
 * Upper limit of the number of rows that are deleted in one transaction. A longer transaction would block
 * other sessions.
 */
const PRUNE_BATCH = 1_000
const PRUNE_EVERY_MS = 60 * 60_000

/**
 * Creates the housekeeping, which refreshes the catalog, checks the consistency rules (invariants) of the
 * tables and deletes old history.
 */
export function createHousekeeping(context: Context): { tick(): Promise<void> } {
  const { pool, attempt, log, signal, retentionDays } = context
  let begun = false
  let pruneAt = 0

  async function begin(): Promise<void> {
    await refreshCatalog(context)
    for (const violation of await checkInvariants(pool)) log.error(violation, 'an invariant does not hold')
    begun = true
  }

  async function pruneHistory(): Promise<void> {
    let pruned = 0
    for (let batch = -1; batch !== 0 && !signal.aborted; pruned += batch) {
      batch = await prune(pool, attempt, retentionDays, KEEP_OPERATIONS, PRUNE_BATCH)
    }
    if (pruned > 0) log.info({ rows: pruned, olderThanDays: retentionDays }, 'old history was pruned')
    pruneAt = Date.now() + PRUNE_EVERY_MS
  }

  return {
    /** Does the tasks that are due. An error is only logged, and the next call of `tick` tries again. */
    async tick() {
      try {
        if (!begun) await begin()
        else if (await isCatalogRefreshQueued(pool)) await refreshCatalog(context)
        if (Date.now() >= pruneAt) await pruneHistory()
      } catch (error) {
        log.warn({ err: error }, 'housekeeping failed: retrying')
      }
    },
  }
}
