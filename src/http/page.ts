/**
 * Renders the web page on the server, so that the page is readable at once and without JavaScript. The page
 * contains its data ("facts") as JSON.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { RelayLog } from '../relay/streamsource.ts'
import { withTimeout } from '../system/timeout.ts'
import { fileRoutes, pageShell } from './pagefiles.ts'
import { isName } from './parameter.ts'
import type { Reply, ResponseHeaders } from './reply.ts'
import type { Handler, RequestContext, Route } from './router.ts'

/**
 * Time limit for reading the data of the page, in milliseconds. After this time, the page is sent without
 * data, and its script requests the data from the API.
 */
const FACTS_LIMIT_MS = 2000
const HISTORY_ROWS = 50

export interface PageSource {
  /** Returns the body of `GET /api/status`. */
  status(): Promise<Uint8Array>
  catalog(): Promise<readonly unknown[]>
  history(app: string, limit: number): Promise<readonly unknown[]>
}

interface ServerRenderer {
  renderPage(facts: Facts): { title: string; body: string; known: boolean }
}

interface Facts {
  path: string
  hostname: string
  status?: unknown
  catalog?: readonly unknown[]
  history?: { app: string; rows: readonly unknown[] }
}

/**
 * Security headers of the web page. The browser then loads files only from this server and runs no inline
 * scripts.
 */
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
    // No script of the page writes HTML text into the document, so none may.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
}

/**
 * Returns the page's data as JSON for a `<script>` element. Every `<` is escaped, so that the JSON cannot
 * close the element.
 */
const toEmbeddedJson = (facts: Facts) => JSON.stringify(facts).replaceAll('<', '\\u003c')

const escapeHtml = (text: string) =>
  text.replace(/[&<>]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[letter] as string)

function fillShell(shell: string, facts: Facts, { title, body }: { title: string; body: string }): string {
  const data = `<script type="application/json" id="facts">${toEmbeddedJson(facts)}</script>`
  return shell
    .replace('<title>Bloud</title>', () => `<title>${escapeHtml(title)}</title>`)
    .replace('<div id="app"></div>', () => `<div id="app">${body}</div>${data}`)
}

/** Returns the host name under which the browser reached this machine, for use in the links to the apps. */
const hostnameOf = (host: string) =>
  URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : 'localhost'

async function readFacts(source: PageSource, app: string | undefined): Promise<Partial<Facts>> {
  const [status, catalog, rows] = await Promise.all([
    source.status(),
    source.catalog(),
    app === undefined ? undefined : source.history(app, HISTORY_ROWS),
  ])
  const facts = { status: JSON.parse(Buffer.from(status).toString()), catalog }
  return app === undefined || !rows ? facts : { ...facts, history: { app, rows } }
}

export async function pageRoutes(publicDir: string, source: PageSource, log: RelayLog): Promise<Route[]> {
  const shell = await pageShell(publicDir)
  const renderer = import(pathToFileURL(join(publicDir, 'serverrender.js')).href) as Promise<ServerRenderer>

  async function page({ request, params }: RequestContext): Promise<Reply> {
    // The page renders an app with an impossible name as an unknown app, without a read from the database.
    const app = params.name !== undefined && isName(params.name) ? params.name : undefined
    const known = await withTimeout(readFacts(source, app), FACTS_LIMIT_MS).catch(() => undefined)
    const facts: Facts = { path: request.path, hostname: hostnameOf(request.host), ...known }
    const { renderPage } = await renderer
    let rendered = { title: 'Bloud', body: '', known: true }
    try {
      rendered = renderPage(facts)
    } catch (error) {
      log.error({ err: error }, 'rendering the page on the server failed; the browser renders it')
    }
    return {
      status: rendered.known ? 200 : 404,
      headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', ...SECURITY },
      body: fillShell(shell.html, facts, rendered),
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
