/**
 * HTTP routes of the files of the web page. All files are read when the agent starts, so that a request
 * cannot read any other file of the machine.
 */
import { globSync, readFileSync } from 'node:fs'
import { extname, join, relative } from 'node:path'
import { assetRoute, hashOf } from './asset.ts'
import { pageScript } from './pagescript.ts'
import type { Route } from './router.ts'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
}

const STYLESHEET = /^ *<link rel="stylesheet" href="\/public\/([^"]+)">\n/gm
const MODULE = /<script type="module" src="\/public\/([^"]+)"><\/script>/

export interface PageShell {
  html: string
  routes: Route[]
}

/**
 * Joins the style sheets of index.html into one file, and the modules into one script. Browsers can cache
 * both files forever, because their names contain a hash of their content.
 */
export async function pageShell(publicDir: string): Promise<PageShell> {
  const index = readFileSync(join(publicDir, 'index.html'), 'utf8')
  const sheets = [...index.matchAll(STYLESHEET)].map((match) => match[1] as string)
  const entry = MODULE.exec(index)?.[1]
  if (!entry || sheets.length === 0)
    throw new Error(`${publicDir}/index.html has no module script or no style sheet`)
  const css = Buffer.from(sheets.map((name) => readFileSync(join(publicDir, name), 'utf8')).join('\n'))
  const js = Buffer.from(await pageScript(publicDir, entry))
  const cssPath = `/page.${hashOf(css)}.css`
  const jsPath = `/page.${hashOf(js)}.js`
  let link = `    <link rel="stylesheet" href="${cssPath}">\n`
  const html = index
    .replace(STYLESHEET, () => {
      const replacement = link
      link = '' // only the first link is replaced; all further links are removed
      return replacement
    })
    .replace(MODULE, `<script type="module" src="${jsPath}"></script>`)
  const routes = [
    assetRoute(cssPath, { type: TYPES['.css'] as string, body: css, immutable: true }),
    assetRoute(jsPath, { type: TYPES['.js'] as string, body: js, immutable: true }),
  ]
  return { html, routes }
}

/** Returns a route for each source file of the page, so that the source can be read in a browser. */
export function fileRoutes(publicDir: string): Route[] {
  return globSync('**/*', { cwd: publicDir })
    .filter((name) => TYPES[extname(name)] !== undefined && name !== 'index.html')
    .map((name) => {
      const file = join(publicDir, name)
      const path = `/public/${relative(publicDir, file).replaceAll('\\', '/')}`
      return assetRoute(path, { type: TYPES[extname(name)] as string, body: readFileSync(file) })
    })
}
