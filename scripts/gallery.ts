/**
 * Command `npm run gallery [-- PORT]`: serves the web page in every state with invented data, without an
 * agent or a database.
 *
 * Listens on 127.0.0.1, by default on port 3100. Changed style sheets appear after a reload of the page,
 * changed modules after a restart of the command.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join, normalize } from 'node:path'
import { renderState } from '../public/serverrender.js'
import type { State } from '../public/types.js'
import { GALLERY } from './gallery-states.ts'

const PUBLIC = join(import.meta.dirname, '../public')
const DEFAULT_PORT = 3100

/** Returns the page in a state as HTML, without the script, which would try to connect to an agent. */
export function documentOf(state: State): string {
  const { title, body } = renderState(state)
  return readFileSync(join(PUBLIC, 'index.html'), 'utf8')
    .replace(/ *<script[\s\S]*?<\/script>\n/, '')
    .replace(/ *<noscript>[\s\S]*?<\/noscript>\n/, '')
    .replace('<title>Bloud</title>', () => `<title>${title}</title>`)
    .replace('<div id="app"></div>', () => `<div id="app">${body}</div>`)
}

const index = () =>
  `<!doctype html><meta charset="utf-8"><title>Gallery</title><h1>States of the page</h1><ul>${Object.keys(
    GALLERY,
  )
    .map((name) => `<li><a href="/state/${name}">${name}</a>`)
    .join('')}</ul>`

function answer(path: string): [type: string, text: string] | null {
  if (path === '/') return ['text/html', index()]
  const state = Object.entries(GALLERY).find(([name]) => path === `/state/${name}`)?.[1]
  if (state) return ['text/html', documentOf(state)]
  const file = normalize(join(PUBLIC, path.replace(/^\/public\//, '')))
  if (!path.startsWith('/public/css/') || !file.startsWith(`${PUBLIC}/css/`)) return null
  return ['text/css', readFileSync(file, 'utf8')]
}

if (process.argv[1] === import.meta.filename) {
  const port = Number(process.argv[2] ?? DEFAULT_PORT)
  const server = createServer((request, response) => {
    let found: ReturnType<typeof answer> = null
    try {
      found = answer(new URL(request.url ?? '/', 'http://localhost').pathname)
    } catch (error) {
      found = ['text/plain', String((error as Error).stack)]
    }
    response.writeHead(found ? 200 : 404, { 'content-type': `${found?.[0] ?? 'text/plain'}; charset=utf-8` })
    response.end(found?.[1] ?? 'not found')
  })
  server.listen(port, '127.0.0.1', () => console.log(`Gallery: http://127.0.0.1:${port}/`))
}
