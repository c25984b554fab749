/**
 * The page as it is first sent: already filled with what the database says, so that it can be read as soon as it is
 * there, and without JavaScript too. The script goes on from the same facts, which are sent along.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { RelayLog } from '../relay/streamsource.ts'
import { withTimeout } from '../system/timeout.ts'
import { compressed } from './asset.ts'
import { fileRoutes, pageShell } from './pagefiles.ts'
import type { Reply, ResponseHeaders } from './reply.ts'
import type { Handler, RequestContext, Route } from './router.ts'

/** Milliseconds for the facts; after that the page is sent without them and asks for itself. */
const FACTS_LIMIT_MS = 2000
const HISTORY_ROWS = 50

export interface PageSource {
  /** The snapshot as the JSON text of `GET /api/status`. */
  status(): Promise<Uint8Array>
  catalog(): Promise<readonly unknown[]>
  history(app: string, limit: number): Promise<readonly unknown[]>
}

/** `public/serverrender.js`, found where the page is. */
interface Drawing {
  draw(facts: Facts): { title: string; body: string; known: boolean }
}

interface Facts {
  path: string
  hostname: string
  status?: unknown
  catalog?: readonly unknown[]
  history?: { app: string; rows: readonly unknown[] }
}

/** What the page may do: load from here, and speak to here. Nothing in its text runs. */
const SECURITY: ResponseHeaders = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
}

/** JSON that can't end the element it stands in. */
const embedded = (facts: Facts) => JSON.stringify(facts).replaceAll('<', '\\u003c')

const escaped = (text: string) =>
  text.replace(/[&<>]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[letter] as string)

function fill(shell: string, facts: Facts, { title, body }: { title: string; body: string }): string {
  const data = `<script type="application/json" id="facts">${embedded(facts)}</script>`
  return shell
    .replace('<title>Bloud</title>', () => `<title>${escaped(title)}</title>`)
    .replace('<div id="app"></div>', () => `<div id="app">${body}</div>${data}`)
}

/** The name the visitor used for this machine: its apps are reached by the same. */
const hostnameOf = (host: string) =>
  URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : 'localhost'

async function gather(source: PageSource, app: string | undefined): Promise<Partial<Facts>> {
  const [status, catalog, rows] = await Promise.all([
    source.status(),
    source.catalog(),
    app === undefined ? undefined : source.history(app, HISTORY_ROWS),
  ])
  const facts = { status: JSON.parse(Buffer.from(status).toString()), catalog }
  return app === undefined || !rows ? facts : { ...facts, history: { app, rows } }
}

export function pageRoutes(publicDir: string, source: PageSource, log: RelayLog): Route[] {
  const shell = pageShell(publicDir)
  const drawing = import(pathToFileURL(join(publicDir, 'serverrender.js')).href) as Promise<Drawing>

  async function page({ request, params }: RequestContext): Promise<Reply> {
    const known = await withTimeout(gather(source, params.name), FACTS_LIMIT_MS).catch(() => undefined)
    const facts: Facts = { path: request.path, hostname: hostnameOf(request.host), ...known }
    const { draw } = await drawing
    let drawn = { title: 'Bloud', body: '', known: true }
    try {
      drawn = draw(facts)
    } catch (error) {
      log.error({ err: error }, 'the page could not be drawn here; it draws itself')
    }
    const { headers, body } = await compressed(request, Buffer.from(fill(shell.html, facts, drawn)))
    return {
      status: drawn.known ? 200 : 404,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        ...SECURITY,
        ...headers,
      },
      body,
    }
  }

  const GET: Handler = page
  return [
    { path: '/', GET },
    { path: '/apps/:name', GET },
    { path: '/apps/:name/operations/:id', GET },
    ...shell.routes,
    ...fileRoutes(publicDir),
  ]
}
