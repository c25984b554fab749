import { checkEntry, failRefresh, syncCatalog } from '../db/catalog.ts'
import { databaseMessage } from '../db/error.ts'
import type { CatalogApp, CatalogProblem } from '../domain/catalog.ts'
import { Problem } from '../domain/problem.ts'
import { type Catalog, type CatalogFile, readCatalog } from './catalogdirectory.ts'
import type { Context } from './context.ts'

/**
 * Reads the catalog files and writes them to the database. If this machine can't install an app, the reason
 * is stored with the app.
 * @throws if the catalog can't be read or stored. A queued refresh is then stored as failed, unless the error
 * is temporary.
 */
export async function refreshCatalog(context: Context): Promise<void> {
  const { log } = context
  try {
    const catalog = await readCatalog(context.catalogDir)
    const changed = await store(context, catalog)
    for (const problem of catalog.errors) log.warn(problem, 'a catalog file cannot be used')
    log.info({ entries: catalog.files.length, changed }, 'catalog is up to date')
  } catch (error) {
    if (!(error instanceof Problem)) await endAsFailed(context, error)
    throw error
  }
}

async function endAsFailed({ pool, attempt, catalogDir }: Context, error: unknown): Promise<void> {
  const message = `The catalog can't be read: ${databaseMessage(error)}`
  const hint = `Check that the agent may read BLOUD_CATALOG_DIR, ${catalogDir}, then refresh again.`
  await failRefresh(pool, attempt, { class: 'configure', message, hint })
}

/**
 * Writes the catalog to the database. Moves the files that the database refuses to the errors of `catalog`,
 * so that the other files are stored.
 * @returns the number of new or changed entries.
 */
async function store(context: Context, catalog: Catalog): Promise<number> {
  const { pool, attempt } = context
  const save = () =>
    syncCatalog(
      pool,
      attempt,
      catalog.files.map((file) => entryOf(context, file, catalog.warnings)),
      catalog.errors,
    )
  try {
    return await save()
  } catch (error) {
    // A Problem is temporary or means that another orchestrator has the lease.
    if (error instanceof Problem) throw error
    if (!(await moveRefused(context, catalog))) throw error
    return save()
  }
}

/** Moves each file that the database refuses to the errors. Returns true if there is such a file. */
async function moveRefused(context: Context, catalog: Catalog): Promise<boolean> {
  const accepted: CatalogFile[] = []
  for (const file of catalog.files) {
    try {
      await checkEntry(context.pool, context.attempt, entryOf(context, file, []))
      accepted.push(file)
    } catch (error) {
      if (error instanceof Problem) throw error
      const reason = `the database can't store the file: ${databaseMessage(error)}`
      catalog.errors.push({ file: file.filename, line: 1, reason })
    }
  }
  const moved = accepted.length < catalog.files.length
  catalog.files = accepted
  return moved
}

function entryOf(context: Context, { app, yaml }: CatalogFile, warnings: CatalogProblem[]) {
  return {
    name: app.name,
    yaml_content: yaml,
    entry: app,
    display_name: app.displayName,
    description: app.description,
    category: app.category,
    version: app.version,
    port: app.port,
    is_system: app.isSystem,
    unavailable: reasonAgainst(context, app),
    warnings: warnings.filter(({ file }) => file.startsWith(`${app.name}.`)),
  }
}

/** Returns the reason why this machine can't install the app, or null. */
function reasonAgainst({ host, log }: Context, app: CatalogApp): string | null {
  try {
    return host.cannotInstall(app)
  } catch (error) {
    log.error({ err: error, app: app.name }, 'the host could not check an app of the catalog')
    return `The agent could not check the app: ${(error as Error).message}`
  }
}
