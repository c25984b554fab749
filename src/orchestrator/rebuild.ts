import {
  beginRun,
  type ClaimedRebuild,
  type ConfiguredApp,
  claimRebuild,
  endRebuild,
  lastLogLines,
  type Outcome,
  operationsOf,
} from '../db/rebuild.ts'
import type { Run } from '../host/index.ts'
import { configure, notSwitched } from './configuration.ts'
import type { Context } from './context.ts'
import { CAUSE_LOG_LINES, decideOutcome } from './outcome.ts'
import { decideRollbackOutcome } from './rollback.ts'
import { type MonitoredRun, monitorRun, reasonToStop } from './runmonitor.ts'
import { createWakeup } from './wakeup.ts'

/**
 * Upper limit of the number of starts of the switch command (`nixos-rebuild switch`, or switch.ts
 * without NixOS) in one rebuild. An interrupted command is started again, for example after a power failure.
 */
const MAX_RUNS = 3
/**
 * Exit code (EX_TEMPFAIL) of a switch command that did not start because another switch command was running.
 */
const LOCKED_EXIT_CODE = 75
/**
 * Exit codes after which the switch command is repeated: another switch command was running, or SIGINT,
 * SIGKILL or SIGTERM ended the command.
 */
const RETRYABLE_EXIT_CODES = new Set([LOCKED_EXIT_CODE, 130, 137, 143])
const PAUSE_BEFORE_RERUN_MS = 2_000

/**
 * Executes the next rebuild (one change of the machine for all queued operations). Returns false if there is
 * none.
 */
export async function runNextRebuild(context: Context): Promise<boolean> {
  const rebuild = await claimRebuild(context.pool, context.attempt, context.buildTimeoutSeconds)
  context.progress.recovered()
  context.progress.phase(rebuild ? `rebuild ${rebuild.id}: ${rebuild.phase}` : 'nothing to do')
  if (!rebuild) return false
  context.log.info({ rebuild: rebuild.id, phase: rebuild.phase, run: rebuild.run }, 'working on a rebuild')
  if (rebuild.phase !== 'configuring') await build(context, rebuild)
  else {
    const configured = await configure(context, rebuild)
    if ('outcome' in configured) await end(context, rebuild, configured.outcome)
    else await begin(context, rebuild, configured.apps)
  }
  return true
}

async function end(context: Context, rebuild: ClaimedRebuild, outcome: Outcome): Promise<void> {
  await endRebuild(context.pool, context.attempt, rebuild.id, outcome)
  context.log.info(
    {
      rebuild: rebuild.id,
      switched: outcome.switched,
      exitCode: outcome.exitCode,
      failed: Object.keys(outcome.failures),
    },
    'rebuild ended',
  )
}

/** Records the start of the first run. The next call of runNextRebuild() starts it. */
async function begin(
  context: Context,
  rebuild: ClaimedRebuild,
  apps: readonly ConfiguredApp[],
): Promise<void> {
  const generation = await context.host.generation()
  await beginRun(context.pool, context.attempt, rebuild.id, generation, apps)
}

/** Returns the run of a rebuild. Its id is unique among the runs of all databases of a data folder. */
function runOf({ id, run, run_key }: ClaimedRebuild): Run {
  return { id: [id, run, ...(run_key === null ? [] : [run_key])].join('-') }
}

/**
 * Starts the switch command (`nixos-rebuild switch`, or switch.ts without NixOS) if it has not been
 * started, waits for its end and stores the outcome.
 */
async function build(context: Context, rebuild: ClaimedRebuild): Promise<void> {
  const { host, signal } = context
  const run = runOf(rebuild)
  context.progress.phase(`rebuild ${rebuild.id}: ${rebuild.phase}`)
  if ((await host.inspect(run)).state === 'absent') {
    // The rebuild may have been cancelled while the configuration was written.
    const reason = await reasonToStop(context, rebuild)
    if (reason) return end(context, rebuild, notSwitched(reason.causes, reason.all))
    await host.startSwitch(run, rebuild.rolls_back_to)
  }
  const ended = await monitorRun(context, rebuild, run)
  if (!ended || signal.aborted) return
  if (await mustRunAgain(context, rebuild, ended)) {
    await createWakeup().wait(PAUSE_BEFORE_RERUN_MS, signal)
    await beginRun(context.pool, context.attempt, rebuild.id, rebuild.generation_before)
    return
  }
  await storeOutcome(context, rebuild, run, ended)
}

/**
 * True if the switch command was interrupted before the new configuration became active. The command must
 * then be repeated.
 */
async function mustRunAgain(
  { host, log }: Context,
  rebuild: ClaimedRebuild,
  { state, stopped }: MonitoredRun,
): Promise<boolean> {
  const locked = state.state === 'exited' && state.exitCode === LOCKED_EXIT_CODE
  const retryable = state.state === 'exited' && RETRYABLE_EXIT_CODES.has(state.exitCode)
  const interrupted = state.state === 'lost' || retryable
  // If another switch command was running, that command and not this one changed the generation
  // (configuration of the machine).
  const switched = !locked && (await host.generation()) !== rebuild.generation_before
  if (stopped || !interrupted || switched) return false
  if (performance.now() > rebuild.endsAt || (rebuild.run >= MAX_RUNS && !locked)) return false
  log.warn({ rebuild: rebuild.id, run: rebuild.run, state }, 'the run was interrupted: starting a new run')
  return true
}

/**
 * Stores the outcome of a finished switch command. First deletes the data of the apps that were uninstalled
 * with `purge`.
 */
async function storeOutcome(
  context: Context,
  rebuild: ClaimedRebuild,
  run: Run,
  { state, stopped }: MonitoredRun,
): Promise<void> {
  const { pool, host } = context
  const operations = await operationsOf(pool, rebuild.id)
  const { failures, cause: unattributed } = await host.result(run)
  const observed = {
    failures,
    unattributed,
    state,
    stopped,
    before: rebuild.generation_before,
    after: await host.generation(),
    installing: operations.filter(({ kind }) => kind === 'install').map(({ app }) => app),
    log: await lastLogLines(pool, rebuild.id, CAUSE_LOG_LINES),
  }
  const outcome =
    rebuild.rolls_back_to === null
      ? decideOutcome(observed)
      : decideRollbackOutcome(observed, rebuild.rolls_back_to)
  if (outcome.switched) {
    for (const { app } of operations.filter(({ purge }) => purge)) await purge(context, app, outcome)
  }
  await end(context, rebuild, outcome)
}

async function purge({ host, log }: Context, app: string, outcome: Outcome): Promise<void> {
  try {
    await host.removeData(app)
  } catch (error) {
    log.error({ app, err: error }, 'data could not be deleted')
    const message = `The app is uninstalled, but its data could not be deleted: ${(error as Error).message}`
    outcome.failures[app] = {
      class: 'activate',
      message,
      hint: 'Remove the obstacle, then uninstall it again with purge.',
    }
  }
}
