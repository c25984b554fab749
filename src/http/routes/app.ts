/** Apps: what there is, what is installed, and the verbs. The verbs are functions of the database and do nothing here
 *  but call them: no request waits for the work. */
import { z } from 'zod'
import type { App, AppStatus, CatalogEntry, HistoryRow } from '../../domain/app.ts'
import type { Operation } from '../../domain/operation.ts'
import { Problem } from '../../domain/problem.ts'
import { parseBody } from '../body.ts'
import { countOf, nameOf } from '../parameter.ts'
import { json } from '../reply.ts'
import type { Handler, RequestContext, Route } from '../router.ts'

export type Origin = 'web' | 'api'

export interface AppsSource {
  catalog(): Promise<readonly CatalogEntry[]>
  catalogEntry(name: string): Promise<CatalogEntry | undefined>
  installedApps(): Promise<readonly App[]>
  appStatus(name: string): Promise<AppStatus | undefined>
  /** Newest first. */
  history(name: string, limit: number): Promise<readonly HistoryRow[]>
  planInstall(name: string, options: object): Promise<unknown>
  planUninstall(name: string): Promise<unknown>
  install(origin: Origin, name: string, options: object): Promise<Operation>
  uninstall(origin: Origin, name: string, purge: boolean): Promise<Operation>
  retry(origin: Origin, name: string): Promise<Operation>
  cancel(origin: Origin, name: string): Promise<Operation>
  rename(origin: Origin, name: string, displayName: string): Promise<Operation>
  refreshCatalog(origin: Origin): Promise<Operation>
}

const choice = z.union([z.string().max(63), z.array(z.string().max(63)).max(100)])
const InstallBody = z.object({ choices: z.record(z.string().max(127), choice).optional() }).strict()
const UninstallBody = z.object({ purge: z.boolean().optional() }).strict()
const RenameBody = z.object({ display_name: z.string().max(1000) }).strict()
export const EmptyBody = z.object({}).strict()

const HISTORY_ROWS = 50
const MAX_HISTORY_ROWS = 500

/** `?choices={"database":"postgres"}`: what the plan would be with them. */
function choicesOf({ request }: RequestContext): z.output<typeof InstallBody> {
  const given = request.query.get('choices')
  if (given === null) return {}
  return parseBody(InstallBody, Buffer.from(`{"choices":${given}}`), 'application/json')
}

/** A caller can only tell whether it is the page; everything else is the API. Neither gives rights. */
export const originOf = ({ request }: RequestContext): Origin =>
  request.bloudOrigin === 'web' ? 'web' : 'api'

export const accepted = (operation: Operation) =>
  json(operation, 202, { location: `/api/operations/${operation.id}` })

/** One object: what the catalog says, and over it what is true of the installed app. */
async function describe(source: AppsSource, name: string) {
  const [entry, status] = await Promise.all([source.catalogEntry(name), source.appStatus(name)])
  if (!entry && !status) {
    throw new Problem('unknown_app', `There is no app ${JSON.stringify(name)}`, {
      hint: 'GET /api/apps lists them.',
    })
  }
  return { ...entry, ...status }
}

/** A verb with a body; `changed` is called when the database took it. */
function verbHandler<T extends z.ZodTypeAny>(
  schema: T,
  act: (origin: Origin, name: string, body: z.output<T>) => Promise<Operation>,
  changed: () => void,
): Handler {
  return async (context) => {
    const name = nameOf(context)
    const body = parseBody(schema, context.body, context.request.contentType)
    const operation = await act(originOf(context), name, body)
    changed()
    return accepted(operation)
  }
}

export function appRoutes(source: AppsSource, changed: () => void): Route[] {
  const at = '/api/apps/:name'
  const planInstall: Handler = async (context) =>
    json(await source.planInstall(nameOf(context), choicesOf(context)))
  const history: Handler = async (context) =>
    json(await source.history(nameOf(context), countOf(context, 'limit', 1, MAX_HISTORY_ROWS, HISTORY_ROWS)))
  return [
    { path: '/api/apps', GET: async () => json(await source.catalog()) },
    { path: '/api/apps/installed', GET: async () => json(await source.installedApps()) },
    { path: at, GET: async (context) => json(await describe(source, nameOf(context))) },
    { path: `${at}/plan-install`, GET: planInstall },
    { path: `${at}/history`, GET: history },
    { path: `${at}/plan-remove`, GET: async (context) => json(await source.planUninstall(nameOf(context))) },
    { path: `${at}/install`, POST: verbHandler(InstallBody, source.install, changed) },
    {
      path: `${at}/uninstall`,
      POST: verbHandler(
        UninstallBody,
        (by, name, { purge = false }) => source.uninstall(by, name, purge),
        changed,
      ),
    },
    { path: `${at}/retry`, POST: verbHandler(EmptyBody, (by, name) => source.retry(by, name), changed) },
    { path: `${at}/cancel`, POST: verbHandler(EmptyBody, (by, name) => source.cancel(by, name), changed) },
    {
      path: `${at}/rename`,
      POST: verbHandler(
        RenameBody,
        (by, name, { display_name }) => source.rename(by, name, display_name),
        changed,
      ),
    },
    {
      path: '/api/catalog/refresh',
      async POST(context) {
        parseBody(EmptyBody, context.body, context.request.contentType)
        return accepted(await source.refreshCatalog(originOf(context)))
      },
    },
  ]
}
