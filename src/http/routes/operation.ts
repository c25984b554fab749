/** HTTP routes of operations (requested installs, uninstalls …) and of their logs. */
import type { LogLine, Operation } from '../../domain/operation.ts'
import { Problem } from '../../domain/problem.ts'
import { type LogStreams, SSE_LOG, TEXT_LOG } from '../../relay/logstream.ts'
import type { Admission } from '../admission.ts'
import { checkName, countOf, operationIdOf } from '../parameter.ts'
import { eventStream, json, NO_STORE } from '../reply.ts'
import { namesType } from '../request.ts'
import type { Answer, RequestContext, Route } from '../router.ts'

export interface OperationsSource {
  listOperations(limit: number, app?: string): Promise<readonly Operation[]>
  findOperation(id: number): Promise<Operation | undefined>
  operationLog(id: number, after: number, limit: number): Promise<readonly LogLine[]>
}

const DEFAULT_ROWS = 50
const MAX_ROWS = 500
const MAX_LOG_LINES = 5000

export function operationRoutes(source: OperationsSource, logs: LogStreams, admission: Admission): Route[] {
  async function find(id: number): Promise<Operation> {
    const operation = await source.findOperation(id)
    if (operation) return operation
    throw new Problem('unknown_operation', `There is no operation ${id}`, {
      hint: 'GET /api/operations lists the newest operations.',
    })
  }

  async function list(context: RequestContext): Promise<Answer> {
    const app = context.request.query.get('app')
    const limit = countOf(context, 'limit', 1, MAX_ROWS, DEFAULT_ROWS)
    return json(await source.listOperations(limit, app === null ? undefined : checkName(app)))
  }

  /** Returns log lines as JSON. `over` is true if no further lines will follow. */
  async function logLines(context: RequestContext, { id, finished_at }: Operation): Promise<Answer> {
    const after = countOf(context, 'after', 0, Number.MAX_SAFE_INTEGER, 0)
    const limit = countOf(context, 'limit', 1, MAX_LOG_LINES, MAX_LOG_LINES)
    const lines = await source.operationLog(id, after, limit)
    return json({ lines, over: finished_at !== null && lines.length < limit })
  }

  /**
   * Returns the log of an operation in the format that the client accepts: JSON, text or event stream. An
   * event stream stays open until the operation ends.
   */
  async function log(context: RequestContext): Promise<Answer> {
    const operation = await find(operationIdOf(context))
    const { id } = operation
    const { accept, lastEventId, caller } = context.request
    if (namesType(accept, 'application/json')) return logLines(context, operation)
    admission.check(caller)
    if (logs.isFull())
      throw new Problem('too_many_clients', 'Too many log streams are open', {
        hint: 'Try again after the seconds in the Retry-After header.',
      })
    const fromQuery = countOf(context, 'after', 0, Number.MAX_SAFE_INTEGER, 0)
    const after = /^[0-9]{1,15}$/.test(lastEventId) ? Number(lastEventId) : fromQuery
    if (namesType(accept, 'text/event-stream')) {
      return admission.counted(
        caller,
        eventStream((sink) => logs.open(sink, id, after, SSE_LOG)),
      )
    }
    return admission.counted(caller, {
      headers: { 'content-type': 'text/plain; charset=utf-8', ...NO_STORE },
      open: (sink) => logs.open(sink, id, after, TEXT_LOG),
    })
  }

  return [
    { path: '/api/operations', GET: list },
    { path: '/api/operations/:id', GET: async (context) => json(await find(operationIdOf(context))) },
    { path: '/api/operations/:id/log', GET: log },
  ]
}
