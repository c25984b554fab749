import { appendLog, beginActivation, type ClaimedRebuild, operationsOf } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { Run, RunState } from '../host/index.ts'
import type { Context } from './context.ts'

const POLL_INTERVAL_MS = 1_000
/**
 * Time in ms for which an activation of the new configuration may continue after the deadline of the rebuild.
 * An activation can't be stopped.
 */
const ACTIVATION_LIMIT_MS = 5 * 60_000
/** Upper limit in bytes of the log lines that are written in one transaction. */
const LOG_BATCH_BYTES = 64 * 1024

/**
 * Recorded reasons why the agent stopped the switch command: one for each app in `causes`, or one for all
 * apps in `all`.
 */
export interface StopReason {
  causes: Record<string, Cause>
  all: Cause | null
}

/**
 * State of the switch command when the orchestrator stopped waiting for its end. `state` is `running` if the
 * activation of the new configuration exceeded its time limit.
 */
export interface MonitoredRun {
  state: RunState
  stopped: StopReason | null
}

/**
 * Copies the log of the switch command (`nixos-rebuild switch`, or switch.ts without NixOS) into the
 * database, starting at byte `from`. Returns the byte offset after the last copied line.
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

/**
 * Returns the reason to stop the switch command: its deadline has passed, or a cancel was requested. Returns
 * null if the command may continue.
 */
export async function reasonToStop({ pool }: Context, rebuild: ClaimedRebuild): Promise<StopReason | null> {
  if (performance.now() > rebuild.endsAt) return { causes: {}, all: TIMED_OUT }
  const cancelled = (await operationsOf(pool, rebuild.id)).filter((each) => each.cancel_requested_at)
  if (cancelled.length === 0) return null
  const cause: Cause = { class: 'cancelled', message: 'Cancelled on request', hint: 'Retry when you like.' }
  return { causes: Object.fromEntries(cancelled.map(({ app }) => [app, cause])), all: null }
}

/**
 * Waits for the end of the switch command (`nixos-rebuild switch`, or switch.ts without NixOS) and copies
 * its log into the database. Stops the command at the deadline or after a cancel, unless the activation of
 * the new configuration has begun.
 * @returns undefined if this orchestrator must stop. The command then continues, and the next orchestrator
 * waits for its end.
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
