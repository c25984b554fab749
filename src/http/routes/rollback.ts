/** Going back to the generation before: what it would do, and the verb. */
import type { Operation, RollbackPlan } from '../../domain/operation.ts'
import { parseBody } from '../body.ts'
import { json } from '../reply.ts'
import type { Route } from '../router.ts'
import { accepted, EmptyBody, type Origin, originOf } from './app.ts'

export interface RollbackSource {
  planRollback(): Promise<RollbackPlan>
  rollback(origin: Origin): Promise<Operation>
}

export function rollbackRoutes(source: RollbackSource, changed: () => void): Route[] {
  return [
    {
      path: '/api/rollback',
      GET: async () => json(await source.planRollback()),
      async POST(context) {
        parseBody(EmptyBody, context.body, context.request.contentType)
        const operation = await source.rollback(originOf(context))
        changed()
        return accepted(operation)
      },
    },
  ]
}
