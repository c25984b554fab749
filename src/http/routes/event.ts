/**
 * HTTP routes of the event stream, of the same events for clients that poll, and of the snapshot (status of
 * all apps).
 */
import { Problem } from '../../domain/problem.ts'
import type { Relay } from '../../relay/relay.ts'
import type { Admission } from '../admission.ts'
import { checkName, countOf } from '../parameter.ts'
import { eventStream, json, jsonText } from '../reply.ts'
import { acceptsType } from '../request.ts'
import type { Answer, RequestContext, Route } from '../router.ts'

const DEFAULT_EVENTS = 100
const MAX_EVENTS = 1000

const MAX_APPS = 50

function appsOf({ request }: RequestContext): string[] {
  const names = request.query.getAll('app')
  if (names.length <= MAX_APPS) return names.map(checkName)
  throw new Problem('invalid_request', `At most ${MAX_APPS} apps can be given`, {
    hint: 'Leave out app to receive the events of all apps.',
  })
}

export function eventRoutes(relay: Relay, admission: Admission): Route[] {
  async function poll(context: RequestContext): Promise<Answer> {
    const after = context.request.query.get('after') ?? undefined
    return json(
      await relay.poll(after, countOf(context, 'limit', 1, MAX_EVENTS, DEFAULT_EVENTS), appsOf(context)),
    )
  }

  function stream(context: RequestContext): Answer {
    const { request } = context
    const apps = appsOf(context)
    admission.check(request.caller)
    // The header Last-Event-ID takes precedence over `since`, because a browser that reconnects repeats the
    // old URL and sends the id of its last event in the header.
    const lastId = request.lastEventId || request.query.get('since') || undefined
    return admission.counted(
      request.caller,
      eventStream((sink) => relay.open(sink, lastId, apps)),
    )
  }

  function events(context: RequestContext): Answer | Promise<Answer> {
    const { query, accept } = context.request
    return query.has('after') || !acceptsType(accept, 'text/event-stream') ? poll(context) : stream(context)
  }

  return [
    { path: '/api/events', GET: events },
    { path: '/api/status', GET: async () => jsonText(await relay.status()) },
  ]
}
