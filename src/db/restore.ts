/** Queries for backup and restore, and the SQL that runs before and after the SQL script of a backup. */

import { connected } from './database.ts'
import { knownMigrations, MigrationError } from './migration.ts'

export interface DatabaseState {
  serverMajor: number
  /** Names of the agent's processes that are connected to the database, for example `relay`. */
  processes: string[]
}

/**
 * Returns the server version and the agent's processes that are connected to the database.
 * @throws Error if the database cannot be reached.
 */
export function databaseState(url: string): Promise<DatabaseState> {
  return connected(url, async (client) => {
    const { rows } = await client.query(`
      select current_setting('server_version_num')::integer / 10000 as major, array(
        select distinct split_part(application_name, '-', 2) from pg_catalog.pg_stat_activity
        where datname = current_database() and application_name ~ '^bloud-(relay|orchestrator)'
        order by 1) as processes`)
    return { serverMajor: rows[0].major, processes: rows[0].processes }
  })
}

/**
 * SQL that runs before the SQL script of a backup. Raises an error if a rebuild (change of the machine) is
 * active. Keeps the current attempt number (fencing token) for AFTER_RESTORE, because the backup replaces it
 * with an older one.
 */
export const BEFORE_RESTORE = `
set role bloud_owner;
set lock_timeout = '60s';
select pg_catalog.set_config('bloud.attempt', '0', false);
do $$
begin
  if pg_catalog.to_regclass('bloud.rebuilds') is null then
    return;
  end if;
  lock table bloud.lease, bloud.rebuilds in access exclusive mode;
  if exists (select from bloud.rebuilds where state not in ('succeeded', 'failed')) then
    raise exception 'A rebuild is in progress.' using hint = 'Wait until it has ended, or cancel it.';
  end if;
  perform pg_catalog.set_config('bloud.attempt', attempt::text, false) from bloud.lease;
end
$$;
drop schema if exists bloud cascade;
`

/**
 * SQL that runs after the SQL script of a backup. With a higher attempt number (fencing token), the database
 * refuses writes of workers that started before the restore. With a new epoch (id of the event history),
 * connected clients load all statuses again. A rebuild that was active at the time of the backup begins
 * again, because its runs changed a later state of the machine.
 */
export const AFTER_RESTORE = `
update bloud.lease set lease_until = null, worker = null,
  attempt = greatest(attempt, pg_catalog.current_setting('bloud.attempt')::bigint) + 1;
update bloud.rebuilds set attempt = (select attempt from bloud.lease), phase = 'configuring', run = 0,
  log_offset = 0, activated_at = null, desired = case when rolls_back_to is not null then desired end
where state = 'active';
select bloud.new_epoch();
`

/**
 * Checks that this program contains every migration of the backup.
 * @param copy rows of the table bloud.migrations, as printed by pg_restore.
 * @throws MigrationError if the backup contains an unknown migration.
 */
export async function refuseNewerBackup(copy: string): Promise<void> {
  const known = await knownMigrations()
  const names = [...copy.matchAll(/^\d+\t([^\t\n]+)\t/gm)].map(([, name]) => name as string)
  if (names.length === 0)
    throw new MigrationError('schema_newer', 'This is not a backup of a Bloud database.')
  const unknown = names.filter((name) => !known.has(name))
  if (unknown.length === 0) return
  throw new MigrationError(
    'schema_newer',
    `This backup was made by a newer version of the program (${unknown.join(', ')}). ` +
      'Restore it with that version.',
  )
}

/**
 * Removes the setting `transaction_timeout` from the SQL of a backup, because a server that is older than
 * pg_restore does not know this setting.
 */
export function withoutNewSettings(script: string): string {
  return script.replace(/^SET transaction_timeout = 0;\n/m, '')
}
