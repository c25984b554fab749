/**
 * The files of the page. Every file is read once, at the start, and only what was found then exists: no path leads
 * anywhere else. What the page itself loads is one script and one style sheet, put together from the same files.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative } from 'node:path'
import { assetRoute, hashOf } from './asset.ts'
import { bundle } from './bundle.ts'
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

/** The module builds of the packages the page is made of. */
const VENDOR: Record<string, readonly [name: string, file: string]> = {
  preact: ['preact', 'dist/preact.mjs'],
  'preact/hooks': ['preact', 'hooks/dist/hooks.mjs'],
  htm: ['htm', 'dist/htm.module.js'],
}

/** The folder of an installed package: its exports may not name the file we want. */
function packageFolder(name: string): string {
  const require = createRequire(import.meta.url)
  const folders = require.resolve.paths(name) ?? []
  const found = folders
    .map((folder) => join(folder, name))
    .find((folder) => existsSync(join(folder, 'package.json')))
  if (!found) throw new Error(`The package ${name} is not installed: run npm ci`)
  return found
}

function resolveModule(specifier: string, from: string): string {
  if (specifier.startsWith('.')) return join(dirname(from), specifier)
  const vendor = VENDOR[specifier]
  if (!vendor) throw new Error(`${from} imports ${specifier}, which is not part of the page`)
  return join(packageFolder(vendor[0]), vendor[1])
}

const STYLESHEET = /^ *<link rel="stylesheet" href="\/public\/([^"]+)">\n/gm
const MODULE = /<script type="module" src="\/public\/([^"]+)"><\/script>/

export interface PageShell {
  /** index.html with one style sheet and one script in it. */
  html: string
  routes: Route[]
}

/** What index.html names, as one file of each kind, under names that change with the content. */
export function pageShell(publicDir: string): PageShell {
  const index = readFileSync(join(publicDir, 'index.html'), 'utf8')
  const sheets = [...index.matchAll(STYLESHEET)].map((match) => match[1] as string)
  const entry = MODULE.exec(index)?.[1]
  if (!entry || sheets.length === 0) throw new Error(`${publicDir}/index.html names no script or no style`)
  const css = Buffer.from(sheets.map((name) => readFileSync(join(publicDir, name), 'utf8')).join('\n'))
  const js = Buffer.from(
    bundle({
      entry: join(publicDir, entry),
      read: (file) => readFileSync(file, 'utf8'),
      resolve: resolveModule,
    }),
  )
  const cssPath = `/page.${hashOf(css)}.css`
  const jsPath = `/page.${hashOf(js)}.js`
  let rest = `    <link rel="stylesheet" href="${cssPath}">\n`
  const html = index
    .replace(STYLESHEET, () => {
      const one = rest
      rest = ''
      return one
    })
    .replace(MODULE, `<script type="module" src="${jsPath}"></script>`)
  const routes = [
    assetRoute(cssPath, { type: TYPES['.css'] as string, body: css, forever: true }),
    assetRoute(jsPath, { type: TYPES['.js'] as string, body: js, forever: true }),
  ]
  return { html, routes }
}

/** Each file by itself, comments and all, for whoever wants to read it. Hidden files and whatever has no known type
 *  (notes, types for the editor) are not part of the page. */
export function fileRoutes(publicDir: string): Route[] {
  return globSync('**/*', { cwd: publicDir })
    .filter((name) => TYPES[extname(name)] !== undefined && name !== 'index.html')
    .map((name) => {
      const file = join(publicDir, name)
      const path = `/public/${relative(publicDir, file).replaceAll('\\', '/')}`
      return assetRoute(path, { type: TYPES[extname(name)] as string, body: readFileSync(file) })
    })
}
