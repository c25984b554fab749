import { type ClaimedRebuild, type Outcome, operationsOf } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { Context } from './context.ts'
import { decideOutcome, type Observation } from './outcome.ts'

/**
 * Adds "The rollback did not succeed" to the message of a failure, because every app of the rollback shows
 * this message.
 */
const asRollbackCause = (cause: Cause): Cause => ({
  ...cause,
  message: `The rollback did not succeed: ${cause.message}`,
})

/**
 * Returns the reason why a rollback must not begin: a cancel, a generation (configuration of the machine)
 * that was activated outside the agent, or a missing target generation. Returns null if the rollback may
 * begin.
 */
export async function rollbackObstacle(
  { pool, host }: Context,
  rebuild: ClaimedRebuild,
  target: string,
): Promise<Cause | null> {
  const operations = await operationsOf(pool, rebuild.id)
  if (operations.some(({ cancel_requested_at }) => cancel_requested_at)) {
    return { class: 'cancelled', message: 'Cancelled on request', hint: 'Roll back again when you like.' }
  }
  const active = await host.generation()
  if (active !== rebuild.generation_before) {
    const message = `generation ${active ?? 'none'} is active, not ${rebuild.generation_before} of the agent`
    const hint = 'This machine was switched outside the agent: roll back outside the agent too.'
    return asRollbackCause({ class: 'preflight', message, hint })
  }
  const obstacle = await host.whyNoRollback(target)
  return obstacle === null
    ? null
    : asRollbackCause({ class: 'preflight', message: obstacle, hint: "Uninstall what you don't want." })
}

/**
 * Decides the outcome of a rollback, which succeeds only if the generation (complete configuration of the
 * machine) `target` is active. Otherwise all operations of the rollback fail.
 */
export function decideRollbackOutcome(observed: Observation, target: string): Outcome {
  const { failures, cause, ...decided } = decideOutcome(observed)
  if (observed.after === target) return { ...decided, switched: true, failures: {}, cause: null }
  const found = cause ??
    Object.values(failures)[0] ?? {
      class: 'activate',
      message: `generation ${observed.after ?? 'none'} is active, not ${target}`,
      hint: 'Check its log.',
    }
  const stored = found.class === 'cancelled' ? found : asRollbackCause(found)
  return { ...decided, switched: false, split: false, failures: {}, cause: stored }
}
