/** Addresses of the page: `/`, `/apps/<name>`, `/apps/<name>/operations/<id>`. Pure. */

/** @import { Route } from '../types.js' */

const APP = /^\/apps\/([^/]+)(?:\/operations\/([1-9][0-9]*))?\/?$/

/** @type {Route} */
export const HOME = { app: null, operationId: null }

/**
 * Reads an address; every path that names no app is the list of all apps.
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

/** Returns true if the path is an address of the page. @param {string} path */
export const isPagePath = (path) => path === '/' || APP.test(path)
