import {
  beginRun,
  type ClaimedRebuild,
  type ConfiguredApp,
  claimRebuild,
  type DesiredApp,
  desiredApps,
  endRebuild,
  lastLogLines,
  type Outcome,
  rollbackApps,
  operationsOf,
  reportWarnings,
} from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { CatalogApp } from '../domain/catalog.ts'
import type { Run, WantedApp } from '../host/index.ts'
import type { Context } from './context.ts'
import { CAUSE_LOG_LINES, judge } from './outcome.ts'
import { judgeRollback, rollbackObstacle } from './rollback.ts'
import { type MonitoredRun, monitorRun, reasonToStop } from './runmonitor.ts'
import { createWakeup } from './wakeup.ts'

/** A run that was lost (power, kill) or ended by a stop of the agent is started again, but not for ever. */
const MAX_RUNS = 3
/** Exit codes that say "not now": killed by SIGINT, SIGTERM or SIGKILL, and 75 (EX_TEMPFAIL), the lock is held elsewhere. */
const NOT_NOW = new Set([75, 130, 137, 143])
const PAUSE_BEFORE_RERUN_MS = 2_000

export function wantedApp(
  row: Pick<DesiredApp, 'name' | 'port' | 'integration_config' | 'entry'>,
): WantedApp {
  const catalog = row.entry as unknown as CatalogApp
  return {
    name: row.name,
    port: row.port ?? catalog.port,
    catalog,
    integrationConfig: row.integration_config,
  }
}

/** Carries one rebuild to its end, or to the point where this worker must let go. True: there was one. */
export async function runNextRebuild(context: Context): Promise<boolean> {
  const rebuild = await claimRebuild(context.pool, context.attempt, context.buildTimeoutSeconds)
  context.progress.recovered()
  context.progress.phase(rebuild ? `rebuild ${rebuild.id}: ${rebuild.phase}` : 'nothing to do')
  if (!rebuild) return false
  context.log.info({ rebuild: rebuild.id, phase: rebuild.phase, run: rebuild.run }, 'rebuild at work')
  if (rebuild.phase === 'configuring') await configure(context, rebuild)
  else await build(context, rebuild)
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

/**
 * Has the configuration say what is wanted now, which is no more what failed or was cancelled: whoever rebuilds the host by
 * hand must not get that. Only while no rebuild is at work.
 */
export async function configureWanted({ pool, host, log }: Context): Promise<void> {
  try {
    await host.configure((await desiredApps(pool)).map(wantedApp))
  } catch (error) {
    log.warn({ err: error }, 'the configuration could not be taken back; the next rebuild writes it anew')
  }
}

function notSwitched(failures: Record<string, Cause>, cause: Cause | null): Outcome {
  return { switched: false, exitCode: null, generation: null, failures, cause, split: false }
}

/** What must not be built: cancelled meanwhile, or refused by a look at the machine. */
async function findFailures(
  { pool, host }: Context,
  rebuild: ClaimedRebuild,
  wanted: WantedApp[],
): Promise<Record<string, Cause>> {
  const failures: Record<string, Cause> = {}
  const riding = await operationsOf(pool, rebuild.id)
  const installing = new Set(riding.filter(({ kind }) => kind === 'install').map(({ app }) => app))
  const others = wanted.map(({ name }) => name).filter((name) => !installing.has(name))
  for (const { app, cancel_requested_at } of riding) {
    const found = wanted.find(({ name }) => name === app)
    if (cancel_requested_at) {
      failures[app] = { class: 'cancelled', message: 'Cancelled on request', hint: 'Retry when you like.' }
    } else if (found && installing.has(app)) {
      const message = await host.preflight(found, others)
      if (message) failures[app] = { class: 'preflight', message, hint: 'Remove the obstacle, then retry.' }
    }
  }
  return failures
}

function notWritten({ message }: Error): Cause {
  return {
    class: 'configure',
    message: `The configuration can't be written: ${message}`,
    hint: 'Is the disk full? Then retry.',
  }
}

async function configure(context: Context, rebuild: ClaimedRebuild): Promise<void> {
  if (rebuild.rolls_back_to !== null) return configureRollback(context, rebuild, rebuild.rolls_back_to)
  const { pool, host, attempt } = context
  const apps = await desiredApps(pool)
  const wanted = apps.map(wantedApp)
  const failures = await findFailures(context, rebuild, wanted)
  if (Object.keys(failures).length > 0) return end(context, rebuild, notSwitched(failures, null))
  try {
    const { warnings } = await host.configure(wanted)
    await reportWarnings(pool, attempt, rebuild.id, warnings)
  } catch (error) {
    return end(context, rebuild, notSwitched({}, notWritten(error as Error)))
  }
  await begin(context, rebuild, apps)
}

async function begin(
  context: Context,
  rebuild: ClaimedRebuild,
  apps: readonly ConfiguredApp[],
): Promise<void> {
  const generation = await context.host.generation()
  const run = await beginRun(context.pool, context.attempt, rebuild.id, generation, apps)
  await build(context, {
    ...rebuild,
    phase: 'building',
    run,
    log_offset: 0,
    generation_before: generation,
  })
}

/** What the older generation was made of is written too, so that the next rebuild begins with what is on then. */
async function configureRollback(context: Context, rebuild: ClaimedRebuild, target: string): Promise<void> {
  const { pool, host, attempt } = context
  const cause = await rollbackObstacle(context, rebuild, target)
  if (cause) return end(context, rebuild, notSwitched({}, cause))
  const apps = await rollbackApps(pool, rebuild.id)
  try {
    const { warnings } = await host.configure(apps.map(wantedApp))
    await reportWarnings(pool, attempt, rebuild.id, warnings)
  } catch (error) {
    return end(context, rebuild, notSwitched({}, notWritten(error as Error)))
  }
  await begin(context, rebuild, apps)
}

/** Starts the run, or finds it at work or ended, and sees it through. */
async function build(context: Context, rebuild: ClaimedRebuild): Promise<void> {
  const { host, signal } = context
  const run: Run = { id: `${rebuild.id}-${rebuild.run}` }
  context.progress.phase(`rebuild ${rebuild.id}: ${rebuild.phase}`)
  if ((await host.inspect(run)).state === 'absent') {
    const reason = await reasonToStop(context, rebuild) // such as a cancel while it was configured
    if (reason) return end(context, rebuild, notSwitched(reason.causes, reason.all))
    await host.startSwitch(run, rebuild.rolls_back_to)
  }
  const followed = await monitorRun(context, rebuild, run)
  if (!followed || signal.aborted) return
  if (await mustRunAgain(context, rebuild, followed)) {
    await createWakeup().wait(PAUSE_BEFORE_RERUN_MS, signal)
    await beginRun(context.pool, context.attempt, rebuild.id, rebuild.generation_before)
    return
  }
  await settle(context, rebuild, run, followed)
}

async function mustRunAgain(
  { host, log }: Context,
  rebuild: ClaimedRebuild,
  { state, stopped }: MonitoredRun,
): Promise<boolean> {
  const heldElsewhere = state.state === 'exited' && state.exitCode === 75
  const interrupted = state.state === 'lost' || (state.state === 'exited' && NOT_NOW.has(state.exitCode))
  // With the lock held elsewhere nothing of ours is on yet, even where the profile already names it.
  const switched = !heldElsewhere && (await host.generation()) !== rebuild.generation_before
  if (stopped || !interrupted || switched) return false
  if (performance.now() > rebuild.endsAt || (rebuild.run >= MAX_RUNS && !heldElsewhere)) return false
  log.warn({ rebuild: rebuild.id, run: rebuild.run, state }, 'the run was interrupted: starting it again')
  return true
}

async function settle(
  context: Context,
  rebuild: ClaimedRebuild,
  run: Run,
  { state, stopped }: MonitoredRun,
): Promise<void> {
  const { pool, host } = context
  const riding = await operationsOf(pool, rebuild.id)
  const { failures, cause: whole } = await host.result(run)
  const seen = {
    failures,
    whole,
    state,
    stopped,
    before: rebuild.generation_before,
    after: await host.generation(),
    installing: riding.filter(({ kind }) => kind === 'install').map(({ app }) => app),
    log: await lastLogLines(pool, rebuild.id, CAUSE_LOG_LINES),
  }
  const outcome = rebuild.rolls_back_to === null ? judge(seen) : judgeRollback(seen, rebuild.rolls_back_to)
  if (outcome.switched) {
    for (const { app } of riding.filter(({ purge }) => purge)) await purge(context, app, outcome)
  }
  await end(context, rebuild, outcome)
}

async function purge({ host, log }: Context, app: string, outcome: Outcome): Promise<void> {
  try {
    await host.removeData(app)
  } catch (error) {
    log.error({ app, err: error }, 'data could not be deleted')
    const message = `It is off, but its data could not be deleted: ${(error as Error).message}`
    outcome.failures[app] = {
      class: 'activate',
      message,
      hint: 'Remove the obstacle, then uninstall it again with purge.',
    }
  }
}
