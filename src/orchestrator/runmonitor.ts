import { appendLog, beginActivation, type ClaimedRebuild, operationsOf } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { Run, RunState } from '../host/index.ts'
import type { Context } from './context.ts'

/** How often a run is looked at if nothing rings. */
const LOOK_EVERY_MS = 1_000
/** An activation can't be stopped; this long after the deadline it is judged by what is on by then. */
const ACTIVATION_LIMIT_MS = 5 * 60_000
/** One batch of log: one transaction, one bell. */
const LOG_BATCH_BYTES = 64 * 1024

/** Why the agent stopped a run: some of its operations alone, or all of them. */
export interface StopReason {
  causes: Record<string, Cause>
  all: Cause | null
}

export interface MonitoredRun {
  state: RunState
  stopped: StopReason | null
}

/** Copies what the run has written since into the database. Returns the offset it got to. */
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
  message: 'The rebuild took longer than it may and was stopped',
  hint: 'Look at its log. A slow machine or line may need a larger BLOUD_BUILD_TIMEOUT.',
}

export async function reasonToStop({ pool }: Context, rebuild: ClaimedRebuild): Promise<StopReason | null> {
  if (performance.now() > rebuild.endsAt) return { causes: {}, all: TIMED_OUT }
  const cancelled = (await operationsOf(pool, rebuild.id)).filter((each) => each.cancel_requested_at)
  if (cancelled.length === 0) return null
  const cause: Cause = { class: 'cancelled', message: 'Cancelled on request', hint: 'Retry when you like.' }
  return { causes: Object.fromEntries(cancelled.map(({ app }) => [app, cause])), all: null }
}

/**
 * Stays with a run until it is over, copying its log; stops it for a cancel or at its deadline, unless activation has
 * begun: then that is said, so that nobody waits for a cancel. Returns undefined when the lease is lost or the process
 * stops: the run goes on, and whoever leads next follows it from the offset in the database.
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
      await work.wait(LOOK_EVERY_MS, signal)
    }
    return undefined
  } finally {
    unwatch()
  }
}
