/**
 * HTTP routes of the catalog: the list of apps that can be installed, and the command to read the catalog
 * files again.
 */
import type { CatalogEntry } from '../../domain/app.ts'
import type { Operation, Origin } from '../../domain/operation.ts'
import { parseBody } from '../body.ts'
import { json } from '../reply.ts'
import type { Route } from '../router.ts'
import { accepted, EmptyBody, originOf } from './app.ts'

export interface CatalogSource {
  catalog(): Promise<readonly CatalogEntry[]>
  refreshCatalog(origin: Origin): Promise<Operation>
}

export function catalogRoutes(source: CatalogSource): Route[] {
  return [
    { path: '/api/apps', GET: async () => json(await source.catalog()) },
    {
      path: '/api/catalog/refresh',
      async POST(context) {
        parseBody(EmptyBody, context.body, context.request.contentType)
        return accepted(await source.refreshCatalog(originOf(context)))
      },
    },
  ]
}
