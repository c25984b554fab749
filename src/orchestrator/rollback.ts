import { type ClaimedRebuild, type Outcome, operationsOf } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { Context } from './context.ts'
import { decideOutcome, type Observation } from './outcome.ts'

/**
 * Marks a cause as the rollback's, because the cause is stored with each of its apps, which did not fail
 * themselves.
 */
const asRollbackCause = (cause: Cause): Cause => ({
  ...cause,
  message: `The rollback did not succeed: ${cause.message}`,
})

/**
 * Returns the cause why a rollback must not begin: it was cancelled, a generation that the agent did not make
 * is active, or the target generation no longer exists. Null if it may begin.
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
 * Decides the outcome of a rollback by the active generation. The rollback succeeded only if that is the
 * target; otherwise all its operations fail together, because a rollback is never split.
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
