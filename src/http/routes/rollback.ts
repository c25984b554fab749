/**
 * HTTP routes of the rollback to the previous generation (complete configuration of the machine): a preview
 * of its effects, and the rollback itself.
 */
import type { Operation, Origin, RollbackPlan } from '../../domain/operation.ts'
import { parseBody } from '../body.ts'
import { json } from '../reply.ts'
import type { Route } from '../router.ts'
import { accepted, EmptyBody, originOf } from './app.ts'

export interface RollbackSource {
  planRollback(): Promise<RollbackPlan>
  rollback(origin: Origin): Promise<Operation>
}

export function rollbackRoutes(source: RollbackSource, onChanged: () => void): Route[] {
  return [
    {
      path: '/api/rollback',
      GET: async () => json(await source.planRollback()),
      async POST(context) {
        parseBody(EmptyBody, context.body, context.request.contentType)
        const operation = await source.rollback(originOf(context))
        onChanged()
        return accepted(operation)
      },
    },
  ]
}
