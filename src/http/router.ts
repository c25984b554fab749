/** Which route answers a request. */
import { Problem } from '../domain/problem.ts'
import type { Reply, StreamReply } from './reply.ts'
import type { HttpRequest } from './request.ts'

export interface RequestContext {
  request: HttpRequest
  /** Parts of the path that a route left open, decoded. */
  params: Readonly<Record<string, string>>
  /** The body, read to its end; empty when there is none. */
  body: Buffer
}

export type Answer = Reply | StreamReply
export type Handler = (context: RequestContext) => Answer | Promise<Answer>

/** A path like `/api/apps/:name`, and what it answers to. HEAD is GET without the body. */
export interface Route {
  path: string
  GET?: Handler
  POST?: Handler
}

interface Match {
  route: Route
  params: Record<string, string>
}

/** A broken escape stays as it is: no name that is looked for here contains a percent sign. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] as string
    if (part.startsWith(':') && segment !== '') params[part.slice(1)] = decode(segment)
    else if (part !== segment) return undefined
  }
  return params
}

function allowed(route: Route): string {
  return [...(route.GET ? ['GET', 'HEAD'] : []), ...(route.POST ? ['POST'] : [])].join(', ')
}

/** The method exists not here; `allow` names those that do. */
export class MethodNotAllowed extends Problem {
  readonly allow: string

  constructor(method: string, allow: string) {
    super('method_not_allowed', `${JSON.stringify(method.slice(0, 20))} is not answered here, only ${allow}`)
    this.allow = allow
  }
}

/** Exact paths win over those with open parts, whatever their order. */
export function createRouter(routes: readonly Route[]) {
  const exact = new Map<string, Route>()
  const open: { pattern: string[]; route: Route }[] = []
  for (const route of routes) {
    if (route.path.includes('/:')) open.push({ pattern: route.path.split('/'), route })
    else exact.set(route.path, route)
  }

  function find(path: string): Match | undefined {
    const known = exact.get(path)
    if (known) return { route: known, params: {} }
    const segments = path.split('/')
    for (const { pattern, route } of open) {
      const params = matchSegments(pattern, segments)
      if (params) return { route, params }
    }
    return undefined
  }

  return {
    /** @throws Problem not_found, MethodNotAllowed */
    match({ method, path }: HttpRequest): { handler: Handler; params: Record<string, string> } {
      const found = find(path)
      if (!found) throw new Problem('not_found', `There is nothing at ${JSON.stringify(path.slice(0, 200))}`)
      const handler = method === 'POST' ? found.route.POST : /^(GET|HEAD)$/.test(method) && found.route.GET
      if (!handler) throw new MethodNotAllowed(method, allowed(found.route))
      return { handler, params: found.params }
    },
  }
}
