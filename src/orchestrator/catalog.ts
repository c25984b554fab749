import { syncCatalog } from '../db/rebuilds.ts'
import { readCatalog } from '../host/catalog.ts'
import type { Context } from './context.ts'

/** Brings the files of the catalog into the database, with what this host says of each app. */
export async function refreshCatalog({ pool, host, attempt, catalogDir, log }: Context): Promise<void> {
  const { files, warnings, errors } = await readCatalog(catalogDir)
  const entries = files.map(({ app, yaml }) => ({
    name: app.name,
    yaml_content: yaml,
    entry: app,
    display_name: app.displayName,
    description: app.description,
    category: app.category,
    version: app.version,
    port: app.port,
    is_system: app.isSystem,
    unavailable: host.cannotInstall(app),
    warnings: warnings.filter(({ file }) => file.startsWith(`${app.name}.`)),
  }))
  const changed = await syncCatalog(pool, attempt, entries, errors)
  for (const problem of errors) log.warn(problem, 'a catalog file cannot be used')
  log.info({ entries: entries.length, changed }, 'catalog is up to date')
}
