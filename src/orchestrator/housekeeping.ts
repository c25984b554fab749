import { isCatalogRefreshQueued } from '../db/catalog.ts'
import { prune } from '../db/retention.ts'
import { Problem } from '../domain/problem.ts'
import { refreshCatalog } from './catalog.ts'
import type { Context } from './context.ts'
import { createInvariantCheck } from './invariantcheck.ts'
import { createProblemLog } from './problemlog.ts'

/** Number of newest operations of each app whose history is kept even if it is old. */
const KEEP_OPERATIONS = 10
/**
 * Upper limit of the number of rows of each table that are deleted in one transaction. A longer transaction
 * would block other sessions.
 */
const PRUNE_BATCH = 5_000
const PRUNE_EVERY_MS = 60 * 60_000
/** Pause in ms between two batches, so that pruning takes half of one connection's time at most. */
const BATCH_PAUSE_MS = 50
/** Pause in ms before a task is tried again after an error. A mount can be late, for example. */
const RETRY_MS = 30_000

interface Task {
  dueAt: number
  /** Does a part of the work, and returns the ms until the next part is due. */
  work(): Promise<number>
}

/**
 * Creates the housekeeping, which refreshes the catalog, deletes old history and checks the consistency rules
 * (invariants) of the tables. Each task is done in short parts and has its own errors, so that none waits for
 * another one.
 */
export function createHousekeeping(context: Context) {
  const { pool, attempt, log, retentionDays } = context
  const problems = createProblemLog(log, 'housekeeping')
  let catalogRead = false
  let readCatalogAt = 0
  let pruned = 0
  let pruneAfter: number | null = 0

  async function refresh(): Promise<void> {
    const due = !catalogRead && performance.now() >= readCatalogAt
    if (!due && !(await isCatalogRefreshQueued(pool))) return
    readCatalogAt = performance.now() + RETRY_MS
    await refreshCatalog(context).catch((error) => {
      // A Problem is temporary, for example a lost connection.
      if (error instanceof Problem) readCatalogAt = 0
      throw error
    })
    catalogRead = true
  }

  async function pruneBatch(): Promise<number> {
    const result = await prune(pool, attempt, retentionDays, KEEP_OPERATIONS, PRUNE_BATCH, pruneAfter)
    pruned += result.pruned
    pruneAfter = result.next_seq
    if (result.pruned > 0 || pruneAfter !== null) return BATCH_PAUSE_MS
    if (pruned > 0) log.info({ rows: pruned, olderThanDays: retentionDays }, 'old history was pruned')
    pruned = 0
    pruneAfter = 0
    return PRUNE_EVERY_MS
  }

  const check = createInvariantCheck(context)
  const tasks: Task[] = [
    { dueAt: 0, work: pruneBatch },
    { dueAt: 0, work: check },
  ]

  async function attemptTask(task: () => Promise<void>): Promise<boolean> {
    try {
      await task()
      return true
    } catch (error) {
      problems.occurred(error, 'housekeeping failed: retrying')
      return false
    }
  }

  async function workOn(task: Task): Promise<void> {
    task.dueAt = performance.now() + RETRY_MS
    task.dueAt = (await task.work()) + performance.now()
  }

  return {
    /** Refreshes the catalog if a refresh was requested, and at the start. An error is only logged. */
    async refresh(): Promise<boolean> {
      return attemptTask(refresh)
    },
    /**
     * Does a part of each task that is due. Returns the ms until the next part is due. An error is only
     * logged, and does not prevent the other tasks.
     */
    async tick(): Promise<number> {
      const outcomes = [await attemptTask(refresh)]
      for (const task of tasks.filter(({ dueAt }) => dueAt <= performance.now()))
        outcomes.push(await attemptTask(() => workOn(task)))
      if (outcomes.every(Boolean)) problems.ended()
      const due = [...tasks.map(({ dueAt }) => dueAt), ...(catalogRead ? [] : [readCatalogAt])]
      return Math.max(0, Math.min(...due) - performance.now())
    },
  }
}
