import { type ClaimedRebuild, type Outcome, operationsOf } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { Context } from './context.ts'
import { judge, type Observation } from './outcome.ts'

/** Said of everything that was to ride back, so that nobody takes it for the app's own fault. */
const named = (cause: Cause): Cause => ({
  ...cause,
  message: `The rollback did not succeed: ${cause.message}`,
})

/** Why a rollback must not begin: cancelled meanwhile, another generation than ours is on, or the older one is gone. */
export async function rollbackObstacle(
  { pool, host }: Context,
  rebuild: ClaimedRebuild,
  target: string,
): Promise<Cause | null> {
  const riding = await operationsOf(pool, rebuild.id)
  if (riding.some(({ cancel_requested_at }) => cancel_requested_at)) {
    return { class: 'cancelled', message: 'Cancelled on request', hint: 'Roll back again when you like.' }
  }
  const on = await host.generation()
  if (on !== rebuild.generation_before) {
    const message = `generation ${on ?? 'none'} is on, not ${rebuild.generation_before}, which the agent made`
    const hint = 'Somebody has switched this machine by hand: go back by hand too.'
    return named({ class: 'preflight', message, hint })
  }
  const gone = await host.whyNoRollback(target)
  return gone === null
    ? null
    : named({ class: 'preflight', message: gone, hint: "Uninstall what you don't want." })
}

/** As with any run by what is on; but only the older generation will do, and nobody goes on alone. */
export function judgeRollback(seen: Observation, target: string): Outcome {
  const { failures, cause, ...judged } = judge(seen)
  if (seen.after === target) return { ...judged, switched: true, failures: {}, cause: null }
  const why = cause ??
    Object.values(failures)[0] ?? {
      class: 'activate',
      message: `generation ${seen.after ?? 'none'} is on, not ${target}`,
      hint: 'Look at its log.',
    }
  const said = why.class === 'cancelled' ? why : named(why)
  return { ...judged, switched: false, split: false, failures: {}, cause: said }
}
