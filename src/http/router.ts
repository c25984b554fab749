/** Finds the route and the handler for an HTTP request. */
import { Problem } from '../domain/problem.ts'
import type { Reply, StreamReply } from './reply.ts'
import type { HttpRequest } from './request.ts'

export interface RequestContext {
  request: HttpRequest
  /** Decoded parameters of the path, such as `name` of `/api/apps/:name`. */
  params: Readonly<Record<string, string>>
  body: Buffer
}

export type Answer = Reply | StreamReply
export type Handler = (context: RequestContext) => Answer | Promise<Answer>

/** Handlers of a path such as `/api/apps/:name`, by HTTP method. A HEAD request calls the handler of GET. */
export interface Route {
  path: string
  GET?: Handler
  POST?: Handler
}

interface Match {
  route: Route
  params: Record<string, string>
}

/**
 * Decodes a percent-encoded path segment. An invalid segment is returned unchanged, and its percent sign is
 * refused later by the check of the parameter.
 */
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

const notFound = (path: string) =>
  new Problem('not_found', `No route has the path ${JSON.stringify(path.slice(0, 200))}`, {
    hint: 'The routes are listed in docs/http.md.',
  })

function allowedMethods(route: Route): string {
  return [...(route.GET ? ['GET', 'HEAD'] : []), ...(route.POST ? ['POST'] : [])].join(', ')
}

/** Error for an HTTP method that the path does not support. `allow` lists the supported methods. */
export class MethodNotAllowed extends Problem {
  readonly allow: string

  constructor(method: string, allow: string) {
    super('method_not_allowed', `Method ${JSON.stringify(method.slice(0, 20))} is not allowed here`, {
      hint: `Use ${allow}.`,
    })
    this.allow = allow
  }
}

/** Returns a router. If a path matches several routes, the route without parameters takes precedence. */
export function createRouter(routes: readonly Route[]) {
  const exact = new Map<string, Route>()
  const parameterized: { pattern: string[]; route: Route }[] = []
  for (const route of routes) {
    if (route.path.includes('/:')) parameterized.push({ pattern: route.path.split('/'), route })
    else exact.set(route.path, route)
  }

  function find(path: string): Match | undefined {
    const known = exact.get(path)
    if (known) return { route: known, params: {} }
    const segments = path.split('/')
    for (const { pattern, route } of parameterized) {
      const params = matchSegments(pattern, segments)
      if (params) return { route, params }
    }
    return undefined
  }

  return {
    /**
     * Returns the handler and the path parameters for a request.
     * @throws Problem not_found, MethodNotAllowed
     */
    match({ method, path }: HttpRequest): { handler: Handler; params: Record<string, string> } {
      const found = find(path)
      if (!found) throw notFound(path)
      const handler = method === 'POST' ? found.route.POST : /^(GET|HEAD)$/.test(method) && found.route.GET
      if (!handler) throw new MethodNotAllowed(method, allowedMethods(found.route))
      return { handler, params: found.params }
    },
  }
}
