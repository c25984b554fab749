import { failRefresh, syncCatalog } from '../db/catalog.ts'
import { readCatalog } from './catalogdirectory.ts'
import type { Context } from './context.ts'

/**
 * Reads the files of the catalog directory.
 * @throws if the directory can't be read. The queued catalog refresh is then stored as failed.
 */
async function readFiles({ pool, attempt, catalogDir }: Context) {
  try {
    return await readCatalog(catalogDir)
  } catch (error) {
    const message = `The catalog can't be read: ${(error as Error).message}`
    const hint = `Check that the agent may read BLOUD_CATALOG_DIR, ${catalogDir}, then refresh again.`
    await failRefresh(pool, attempt, { class: 'configure', message, hint })
    throw error
  }
}

/**
 * Writes the catalog files to the database. If this machine can't install an app, the reason is stored with
 * the app.
 */
export async function refreshCatalog(context: Context): Promise<void> {
  const { pool, host, attempt, log } = context
  const { files, warnings, errors } = await readFiles(context)
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
