/**
 * Writes the configuration files of the apps: for a rebuild (one change of the machine for all queued
 * operations), and after a rebuild without the apps that failed.
 */
import {
  type ClaimedRebuild,
  type ConfiguredApp,
  type DesiredApp,
  desiredApps,
  type Outcome,
  operationsOf,
  reportWarnings,
} from '../db/rebuild.ts'
import { rollbackApps } from '../db/rollback.ts'
import type { Cause } from '../domain/app.ts'
import type { CatalogApp } from '../domain/catalog.ts'
import type { WantedApp } from '../host/index.ts'
import { isDiskFull } from '../system/diskspace.ts'
import type { Context } from './context.ts'
import { rollbackObstacle } from './rollback.ts'

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

/**
 * Writes the configuration files of the wanted apps after a rebuild has ended. Failed and cancelled apps are
 * left out, so that a manual `nixos-rebuild switch` does not install them.
 */
export async function configureWanted({ pool, host, log }: Context): Promise<void> {
  try {
    await host.configure((await desiredApps(pool)).map(wantedApp))
  } catch (error) {
    log.warn(
      { err: error },
      'the configuration of wanted apps could not be written; the next rebuild writes it',
    )
  }
}

export function notSwitched(failures: Record<string, Cause>, cause: Cause | null): Outcome {
  return { switched: false, exitCode: null, generation: null, failures, cause, split: false }
}

/**
 * Returns the apps that must not be built, each with the reason: its install was cancelled, or the host
 * refuses the app.
 */
async function findFailures(
  { pool, host }: Context,
  rebuild: ClaimedRebuild,
  wanted: WantedApp[],
): Promise<Record<string, Cause>> {
  const failures: Record<string, Cause> = {}
  const operations = await operationsOf(pool, rebuild.id)
  const installing = new Set(operations.filter(({ kind }) => kind === 'install').map(({ app }) => app))
  const others = wanted.map(({ name }) => name).filter((name) => !installing.has(name))
  for (const { app, cancel_requested_at } of operations) {
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

function notWritten(error: Error): Cause {
  const message = isDiskFull(error) ? 'the disk is full' : error.message
  return {
    class: 'configure',
    message: `The configuration can't be written: ${message}`,
    hint: 'Check that the disk is not full, then retry.',
  }
}

/**
 * Writes the configuration files for a rebuild. For a rollback, these are the files of the earlier generation
 * (configuration of the machine), because the next rebuild would otherwise undo the rollback.
 * @returns the configured apps, or the outcome of a rebuild that must end before anything is built.
 */
export async function configure(
  context: Context,
  rebuild: ClaimedRebuild,
): Promise<{ apps: readonly ConfiguredApp[] } | { outcome: Outcome }> {
  const { pool, host, attempt } = context
  const target = rebuild.rolls_back_to
  const obstacle = target === null ? null : await rollbackObstacle(context, rebuild, target)
  if (obstacle) return { outcome: notSwitched({}, obstacle) }
  const apps = target === null ? await desiredApps(pool) : await rollbackApps(pool, rebuild.id)
  const operations = await operationsOf(pool, rebuild.id)
  const installs = new Set(operations.filter(({ kind }) => kind === 'install').map(({ app }) => app))
  const wanted = apps.map((row) => ({ ...wantedApp(row), installing: installs.has(row.name) }))
  const failures = target === null ? await findFailures(context, rebuild, wanted) : {}
  if (Object.keys(failures).length > 0) return { outcome: notSwitched(failures, null) }
  try {
    const { warnings } = await host.configure(wanted)
    await reportWarnings(pool, attempt, rebuild.id, warnings)
  } catch (error) {
    return { outcome: notSwitched({}, notWritten(error as Error)) }
  }
  return { apps }
}
