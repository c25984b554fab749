import { appendLog, beginActivation, type ClaimedRebuild, operationsOf } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { Run, RunState } from '../host/index.ts'
import type { Context } from './context.ts'

/** Interval between two polls of a run in milliseconds, if no notification arrives earlier. */
const POLL_INTERVAL_MS = 1_000
/**
 * Extra time for an activation after the deadline in milliseconds, because an activation can't be stopped.
 * After it the active generation decides the outcome.
 */
const ACTIVATION_LIMIT_MS = 5 * 60_000
/** Upper limit of one log batch in bytes: one transaction, one notification. */
const LOG_BATCH_BYTES = 64 * 1024

/** Reason why the agent stopped a run: causes of single apps, or one cause for all operations. */
export interface StopReason {
  causes: Record<string, Cause>
  all: Cause | null
}

/** Ended run, or one whose activation exceeded its limit. */
export interface MonitoredRun {
  state: RunState
  stopped: StopReason | null
}

/**
 * Copies the run's log from byte `from` on into the database. Returns the offset after the last copied line.
 */
async function copyLog(
  { pool, host, attempt }: Context,
  rebuild: ClaimedRebuild,
  run: Run,
  from: number,
): Promise<number> {
  let offset = from
  for (;;) {
    const { lines, nextOffset } = await host.readLog(run, offset, LOG_BATCH_BYTES)
    if (nextOffset === offset) return offset
    const taken = await appendLog(pool, attempt, rebuild.id, offset, nextOffset, lines)
    if (!taken) throw new Error(`the log of rebuild ${rebuild.id} is not at ${offset}`)
    offset = nextOffset
  }
}

const TIMED_OUT: Cause = {
  class: 'timeout',
  message: 'The rebuild exceeded its time limit and was stopped',
  hint: 'Check its log. A slow machine or network may need a larger BLOUD_BUILD_TIMEOUT.',
}

/** Returns the reason to stop the run now, its deadline or a cancel; null if there is none. */
export async function reasonToStop({ pool }: Context, rebuild: ClaimedRebuild): Promise<StopReason | null> {
  if (performance.now() > rebuild.endsAt) return { causes: {}, all: TIMED_OUT }
  const cancelled = (await operationsOf(pool, rebuild.id)).filter((each) => each.cancel_requested_at)
  if (cancelled.length === 0) return null
  const cause: Cause = { class: 'cancelled', message: 'Cancelled on request', hint: 'Retry when you like.' }
  return { causes: Object.fromEntries(cancelled.map(({ app }) => [app, cause])), all: null }
}

/**
 * Follows a run to its end and copies its log. Stops the run for a cancel or at its deadline, unless
 * activation has begun; an activation is recorded in the database, which then refuses cancels.
 *
 * Returns undefined if the lease is lost or the process stops. The run then continues, and the next lease
 * holder follows it from the log offset in the database.
 */
export async function monitorRun(
  context: Context,
  rebuild: ClaimedRebuild,
  run: Run,
): Promise<MonitoredRun | undefined> {
  const { pool, host, attempt, signal, work } = context
  const unwatch = host.watchLog(run, work.notify)
  let offset = rebuild.log_offset
  let stopped: StopReason | null = null
  try {
    while (!signal.aborted) {
      const state = await host.inspect(run)
      offset = await copyLog(context, rebuild, run, offset)
      if (state.state !== 'running') return { state, stopped }
      const reason = await reasonToStop(context, rebuild)
      if (state.activating) await beginActivation(pool, attempt, rebuild.id)
      else if (reason && (await host.stopSwitch(run))) {
        stopped = reason
        continue
      }
      if (performance.now() > rebuild.endsAt + ACTIVATION_LIMIT_MS) return { state, stopped: reason }
      await work.wait(POLL_INTERVAL_MS, signal)
    }
    return undefined
  } finally {
    unwatch()
  }
}
