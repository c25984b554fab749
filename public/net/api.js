/** Requests to the agent. Whatever goes wrong comes back as one kind of error, with words for a person. */

/** @import { Verb, AppEvent, AppStatus, CatalogEntry, Choices, HistoryRow, LogLine, Operation, Plan, Problem, RollbackPlan } from '../types.js' */

/** The agent answers at once (a request never waits for the work), so a long wait means trouble. */
const REQUEST_LIMIT_MS = 15_000

/** The answer was a refusal, or there was none. */
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

/** @param {string} path @param {RequestInit} [init] @returns {Promise<any>} */
async function request(path, init = {}) {
  const answer = await send(path, init)
  const body = await answer.json().catch(() => null)
  if (answer.ok && body !== null) return body
  throw new RequestError({
    title: body?.title ?? `The agent answered ${answer.status}`,
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
export const getStatus = () => request('/api/status')

/** @param {string} after @returns {Promise<{ id: string, events: AppEvent[], reset?: string }>} */
export const getEvents = (after) => request(`/api/events?limit=200&after=${encodeURIComponent(after)}`)

/** @returns {Promise<CatalogEntry[]>} */
export const getCatalog = () => request('/api/apps')

/** @param {string} app @returns {Promise<HistoryRow[]>} */
export const getHistory = (app) => request(appUrl(app, 'history'))

/** @param {string} app @param {Choices} choices @returns {Promise<Plan>} */
export const getPlan = (app, choices) =>
  request(appUrl(app, `plan-install?choices=${encodeURIComponent(JSON.stringify(choices))}`))

/** @returns {Promise<RollbackPlan>} */
export const getRollbackPlan = () => request('/api/rollback')

/** @param {string} operationId @param {number} after @returns {Promise<{ lines: LogLine[], over: boolean }>} */
export const getLog = (operationId, after) =>
  request(`/api/operations/${encodeURIComponent(operationId)}/log?after=${after}`)

/** Purge is an uninstall that takes the data along; a rollback is of the whole machine. @param {string} app @param {Verb} action
 *  @param {object} [body] @returns {Promise<Operation>} */
export function act(app, action, body = action === 'purge' ? { purge: true } : {}) {
  const verb = action === 'purge' ? 'uninstall' : action
  return request(action === 'rollback' ? '/api/rollback' : appUrl(app, verb), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}
