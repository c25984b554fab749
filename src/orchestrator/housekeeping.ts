import { isCatalogRefreshQueued } from '../db/catalog.ts'
import { checkInvariants } from '../db/invariant.ts'
import { prune } from '../db/retention.ts'
import { Problem } from '../domain/problem.ts'
import { refreshCatalog } from './catalog.ts'
import type { Context } from './context.ts'
import { createProblemLog } from './problemlog.ts'

/** Number of newest operations of each app whose history is kept even if it is old. */
const KEEP_OPERATIONS = 10
/**
 * Upper limit of the number of rows that are deleted in one transaction. A longer transaction would block
 * other sessions.
 */
const PRUNE_BATCH = 1_000
const PRUNE_EVERY_MS = 60 * 60_000
/** Pause in ms before the catalog is read again after an error. A mount can be late, for example. */
const RETRY_CATALOG_MS = 30_000

/**
 * Creates the housekeeping, which refreshes the catalog, checks the consistency rules (invariants) of the
 * tables and deletes old history.
 */
export function createHousekeeping(context: Context): { tick(): Promise<void> } {
  const { pool, attempt, log, signal, retentionDays } = context
  let invariantsChecked = false
  let catalogRead = false
  let readCatalogAt = 0
  let pruneAt = 0
  const problems = createProblemLog(log, 'housekeeping')

  async function refresh(): Promise<void> {
    const due = !catalogRead && performance.now() >= readCatalogAt
    if (!due && !(await isCatalogRefreshQueued(pool))) return
    readCatalogAt = performance.now() + RETRY_CATALOG_MS
    await refreshCatalog(context).catch((error) => {
      // A Problem is temporary, for example a lost connection.
      if (error instanceof Problem) readCatalogAt = 0
      throw error
    })
    catalogRead = true
  }

  async function reportViolations(): Promise<void> {
    if (invariantsChecked) return
    for (const violation of await checkInvariants(pool)) log.error(violation, 'an invariant does not hold')
    invariantsChecked = true
  }

  /** Returns true if the task has succeeded. */
  async function attemptTask(task: () => Promise<void>): Promise<boolean> {
    try {
      await task()
      return true
    } catch (error) {
      problems.occurred(error, 'housekeeping failed: retrying')
      return false
    }
  }

  async function pruneHistory(): Promise<void> {
    let pruned = 0
    for (let batch = -1; batch !== 0 && !signal.aborted; pruned += batch) {
      batch = await prune(pool, attempt, retentionDays, KEEP_OPERATIONS, PRUNE_BATCH)
    }
    if (pruned > 0) log.info({ rows: pruned, olderThanDays: retentionDays }, 'old history was pruned')
    pruneAt = performance.now() + PRUNE_EVERY_MS
  }

  return {
    /** Does the tasks that are due. An error is only logged, and does not prevent the other tasks. */
    async tick() {
      const outcomes = [await attemptTask(refresh), await attemptTask(reportViolations)]
      if (performance.now() >= pruneAt) outcomes.push(await attemptTask(pruneHistory))
      if (outcomes.every(Boolean)) problems.ended()
    },
  }
}
