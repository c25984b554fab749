/** HTTP requests to the agent. A failed request throws a RequestError with a text that the page shows. */

/**
 * @import { Verb, AppEvent, AppStatus, CatalogEntry, Choices, HistoryRow, LogLine, Operation, Plan, Problem,
 *   ReadinessCause, RollbackPlan } from '../types.js'
 */

/** Time limit of an HTTP request in ms. The agent responds as soon as an install is queued. */
const REQUEST_LIMIT_MS = 15_000

/** Thrown if the agent refused a request or did not respond. */
export class RequestError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }
}

/** @param {unknown} error @returns {Problem} */
export const problemOf = (error) =>
  error instanceof RequestError
    ? error.problem
    : { title: 'Something went wrong on this page', detail: String(error) }

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<any>}
 * @throws {RequestError}
 */
async function requestJson(path, init = {}) {
  const response = await send(path, init)
  const body = await response.json().catch(() => null)
  if (response.ok && body !== null) return body
  throw new RequestError({
    title: body?.title ?? `The agent answered ${response.status}`,
    detail: body?.detail,
    hint: body?.hint,
    code: body?.code,
  })
}

/** @param {string} path @param {RequestInit} init */
async function send(path, init) {
  try {
    return await fetch(path, {
      ...init,
      headers: { accept: 'application/json', 'x-bloud-origin': 'web', ...init.headers },
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
      cache: 'no-store',
    })
  } catch {
    throw new RequestError({
      title: 'The agent could not be reached',
      detail: 'It is not known whether the request arrived. This page catches up by itself.',
      code: 'unreachable',
    })
  }
}

/** @param {string} app @param {string} rest */
const appUrl = (app, rest) => `/api/apps/${encodeURIComponent(app)}/${rest}`

/** @returns {Promise<{ id: string, apps: AppStatus[] }>} */
export const getStatus = () => requestJson('/api/status')

/** @param {string} after @returns {Promise<{ id: string, events: AppEvent[], reset?: string }>} */
export const getEvents = (after) => requestJson(`/api/events?limit=200&after=${encodeURIComponent(after)}`)

/** @returns {Promise<CatalogEntry[]>} */
export const getCatalog = () => requestJson('/api/apps')

/** @param {string} app @returns {Promise<HistoryRow[]>} */
export const getHistory = (app) => requestJson(appUrl(app, 'history'))

/** @param {string} app @param {Choices} choices @returns {Promise<Plan>} */
export const getPlan = (app, choices) =>
  requestJson(appUrl(app, `plan-install?choices=${encodeURIComponent(JSON.stringify(choices))}`))

/** @returns {Promise<{ ready: boolean, causes: ReadinessCause[] }>} */
export const getReadiness = () => requestJson('/api/readiness')

/** @returns {Promise<RollbackPlan>} */
export const getRollbackPlan = () => requestJson('/api/rollback')

/**
 * @param {string} operationId
 * @param {number} after
 * @returns {Promise<{ lines: LogLine[], over: boolean }>}
 */
export const getLog = (operationId, after) =>
  requestJson(`/api/operations/${encodeURIComponent(operationId)}/log?after=${after}`)

/**
 * Requests an operation of an app. The URL of a rollback contains no app, because a rollback concerns the
 * whole machine.
 * @param {string} app
 * @param {Verb} action
 * @param {object} [body]
 * @returns {Promise<Operation>}
 */
export function callVerb(app, action, body = action === 'purge' ? { purge: app } : {}) {
  const verb = action === 'purge' ? 'uninstall' : action
  return requestJson(action === 'rollback' ? '/api/rollback' : appUrl(app, verb), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}
