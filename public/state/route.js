/** Parses and builds URL paths of the page: `/`, `/apps/<name>`, `/apps/<name>/operations/<id>`. */

/** @import { Route } from '../types.js' */

const APP = /^\/apps\/([^/]+)(?:\/operations\/([1-9][0-9]*))?\/?$/

/** @type {Route} */
export const HOME = { app: null, operationId: null }

/**
 * Parses a URL path. A path without an app means the list of all apps.
 * @param {string} path
 * @returns {Route}
 */
export function parseRoute(path) {
  const match = APP.exec(path)
  if (!match?.[1]) return HOME
  return { app: decode(match[1]), operationId: match[2] ?? null }
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** @param {string} app @param {string | number | null} [operationId] */
export const appPath = (app, operationId = null) =>
  `/apps/${encodeURIComponent(app)}${operationId === null ? '' : `/operations/${operationId}`}`

/** Returns true if the path belongs to the page. @param {string} path */
export const isPagePath = (path) => path === '/' || APP.test(path)
