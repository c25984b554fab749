import { isCatalogRefreshQueued } from '../db/catalog.ts'
import { prune } from '../db/retention.ts'
import { Problem } from '../domain/problem.ts'
import type { Logger } from '../log.ts'
import { refreshCatalog } from './catalog.ts'
import type { Context } from './context.ts'
import { createInvariantCheck } from './invariantcheck.ts'
import { createProblemLog } from './problemlog.ts'
import { createWakeup, type Wakeup } from './wakeup.ts'

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
/** The same for a refresh of the catalog whose error was temporary, such as a lost connection. */
const REFRESH_RETRY_MS = 1_000
/**
 * Interval in ms at which a requested refresh of the catalog is read even without a notification, which is
 * lost only with the LISTEN session.
 */
const REFRESH_EVERY_MS = 30_000

/** Part of the housekeeping with its own loop and its own errors, so that no task waits for another one. */
export interface Task {
  /** Does a part of the work, and returns the ms until the next part is due. An error is only logged. */
  tick(): Promise<number>
  /** Notified when the task is due earlier. */
  wakeup: Wakeup
}

/**
 * Creates the tasks of the housekeeping: `refresh` refreshes the catalog at the start and if a refresh was
 * requested, the others delete old history and check the consistency rules (invariants) of the tables.
 */
export function createHousekeeping(
  context: Context,
  refreshWakeup: Wakeup,
): { refresh: Task; tasks: Task[] } {
  const { log } = context
  const refresh = {
    wakeup: refreshWakeup,
    tick: loggingErrors(log, 'the refresh of the catalog', createRefresh(context), REFRESH_RETRY_MS),
  }
  const others = [
    loggingErrors(log, 'pruning', createPruning(context)),
    loggingErrors(log, 'the check of the invariants', createInvariantCheck(context)),
  ]
  return { refresh, tasks: [refresh, ...others.map((tick) => ({ tick, wakeup: createWakeup() }))] }
}

function loggingErrors(
  log: Logger,
  what: string,
  work: () => Promise<number>,
  retryMs = RETRY_MS,
): () => Promise<number> {
  const problems = createProblemLog(log, what)
  return async () => {
    try {
      const ms = await work()
      problems.ended()
      return ms
    } catch (error) {
      problems.occurred(error, `${what} failed: retrying`)
      return retryMs
    }
  }
}

/** Creates a function that refreshes the catalog if a refresh was requested, and until the first success. */
function createRefresh(context: Context): () => Promise<number> {
  let isRead = false
  let retryAt = 0
  return async () => {
    const isDue = !isRead && performance.now() >= retryAt
    if (isDue || (await isCatalogRefreshQueued(context.pool))) {
      retryAt = performance.now() + RETRY_MS
      await refreshCatalog(context).catch((error) => {
        // A Problem is temporary, for example a lost connection.
        if (error instanceof Problem) retryAt = 0
        throw error
      })
      isRead = true
    }
    return isRead ? REFRESH_EVERY_MS : Math.max(0, retryAt - performance.now())
  }
}

/** Creates a function that deletes a batch of old history, and returns the ms until the next batch. */
function createPruning({ pool, attempt, log, retentionDays }: Context): () => Promise<number> {
  let pruned = 0
  let after: number | null = 0
  return async () => {
    const result = await prune(pool, attempt, retentionDays, KEEP_OPERATIONS, PRUNE_BATCH, after)
    pruned += result.pruned
    after = result.next_seq
    if (result.pruned > 0 || after !== null) return BATCH_PAUSE_MS
    if (pruned > 0) log.info({ rows: pruned, olderThanDays: retentionDays }, 'old history was pruned')
    pruned = 0
    after = 0
    return PRUNE_EVERY_MS
  }
}
