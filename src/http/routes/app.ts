/**
 * HTTP routes of apps: the installed apps, one app and its verbs (install, uninstall …). The reply to a verb
 * contains the new operation, whose work begins later.
 */
import { z } from 'zod'
import type { App, AppStatus, CatalogEntry, HistoryRow } from '../../domain/app.ts'
import type { Operation, Origin } from '../../domain/operation.ts'
import { Problem } from '../../domain/problem.ts'
import { parseBody } from '../body.ts'
import { countOf, nameOf } from '../parameter.ts'
import { json } from '../reply.ts'
import type { Handler, RequestContext, Route } from '../router.ts'

export interface AppsSource {
  catalogEntry(name: string): Promise<CatalogEntry | undefined>
  installedApps(): Promise<readonly App[]>
  appStatus(name: string): Promise<AppStatus | undefined>
  /** Returns at most `limit` changes of the app's status, newest first. */
  history(name: string, limit: number): Promise<readonly HistoryRow[]>
  planInstall(name: string, options: object): Promise<unknown>
  planUninstall(name: string): Promise<unknown>
  install(origin: Origin, name: string, options: object): Promise<Operation>
  uninstall(origin: Origin, name: string, purge: boolean): Promise<Operation>
  retry(origin: Origin, name: string): Promise<Operation>
  cancel(origin: Origin, name: string): Promise<Operation>
  rename(origin: Origin, name: string, displayName: string): Promise<Operation>
}

const choice = z.union([z.string().max(63), z.array(z.string().max(63)).max(100)])
const InstallBody = z.object({ choices: z.record(z.string().max(127), choice).optional() }).strict()
const UninstallBody = z.object({ purge: z.union([z.string().max(1000), z.boolean()]).optional() }).strict()
const RenameBody = z.object({ display_name: z.string().max(1000) }).strict()
export const EmptyBody = z.object({}).strict()

const HISTORY_ROWS = 50
const MAX_HISTORY_ROWS = 500

/** Returns the install options from the query, for example `?choices={"database":"postgres"}`. */
function choicesOf({ request }: RequestContext): z.output<typeof InstallBody> {
  const given = request.query.get('choices')
  if (given === null) return {}
  return parseBody(InstallBody, Buffer.from(`{"choices":${given}}`), 'application/json')
}

/**
 * Returns `web` for a request of the web page, else `api`. The origin is only recorded and gives no rights.
 */
export const originOf = ({ request }: RequestContext): Origin =>
  request.bloudOrigin === 'web' ? 'web' : 'api'

export const accepted = (operation: Operation) =>
  json(operation, 202, { location: `/api/operations/${operation.id}` })

/**
 * Returns the catalog entry and the status of an app as one object. If both have a field of the same name,
 * the status takes precedence.
 */
async function describe(source: AppsSource, name: string) {
  const [entry, status] = await Promise.all([source.catalogEntry(name), source.appStatus(name)])
  if (!entry && !status) {
    throw new Problem('unknown_app', `There is no app ${JSON.stringify(name)}`, {
      hint: 'GET /api/apps lists the apps of the catalog.',
    })
  }
  return { ...entry, ...status }
}

/**
 * Returns whether the data of the app shall be deleted.
 * @throws Problem if `purge` is not the name of the app, because a script could send `true` for many apps.
 */
function isPurge(name: string, purge: string | boolean): boolean {
  if (purge === false || purge === name) return purge !== false
  throw new Problem(
    'invalid_options',
    `The data of ${name} is deleted only if purge is the name of the app`,
    {
      hint: `Send ${JSON.stringify({ purge: name })} to delete the data too.`,
    },
  )
}

/**
 * Returns the handler of a verb (install, uninstall …), which calls `onChanged` after the database has stored
 * the new operation.
 */
function verbHandler<T extends z.ZodTypeAny>(
  schema: T,
  call: (origin: Origin, name: string, body: z.output<T>) => Promise<Operation>,
  onChanged: () => void,
): Handler {
  return async (context) => {
    const name = nameOf(context)
    const body = parseBody(schema, context.body, context.request.contentType)
    const operation = await call(originOf(context), name, body)
    onChanged()
    return accepted(operation)
  }
}

export function appRoutes(source: AppsSource, onChanged: () => void): Route[] {
  const base = '/api/apps/:name'
  const planInstall: Handler = async (context) =>
    json(await source.planInstall(nameOf(context), choicesOf(context)))
  const planUninstall: Handler = async (context) => json(await source.planUninstall(nameOf(context)))
  const history: Handler = async (context) =>
    json(await source.history(nameOf(context), countOf(context, 'limit', 1, MAX_HISTORY_ROWS, HISTORY_ROWS)))
  return [
    { path: '/api/apps/installed', GET: async () => json(await source.installedApps()) },
    { path: base, GET: async (context) => json(await describe(source, nameOf(context))) },
    { path: `${base}/plan-install`, GET: planInstall },
    { path: `${base}/plan-uninstall`, GET: planUninstall },
    { path: `${base}/history`, GET: history },
    { path: `${base}/install`, POST: verbHandler(InstallBody, source.install, onChanged) },
    {
      path: `${base}/uninstall`,
      POST: verbHandler(
        UninstallBody,
        (origin, name, { purge = false }) => source.uninstall(origin, name, isPurge(name, purge)),
        onChanged,
      ),
    },
    {
      path: `${base}/retry`,
      POST: verbHandler(EmptyBody, (origin, name) => source.retry(origin, name), onChanged),
    },
    {
      path: `${base}/cancel`,
      POST: verbHandler(EmptyBody, (origin, name) => source.cancel(origin, name), onChanged),
    },
    {
      path: `${base}/rename`,
      POST: verbHandler(
        RenameBody,
        (origin, name, { display_name }) => source.rename(origin, name, display_name),
        onChanged,
      ),
    },
  ]
}
