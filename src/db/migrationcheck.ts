/** Refuses databases that can't be migrated, with a sentence for the operator. */
import type pg from 'pg'
import { MigrationError } from './migrationerror.ts'

/** Refuses a database that accepts no changes, with the sentence of the SQL function bloud.readiness(). */
export async function refuseReadOnly(client: pg.Client): Promise<void> {
  const { rows } = await client.query(
    "select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as refuses",
  )
  if (!rows[0].refuses) return
  const [reason, remedy] = rows[0].standby
    ? ['it is a standby server', 'Promote it, or set DATABASE_URL to the primary server.']
    : [
        'it is set to read-only',
        'Reset default_transaction_read_only of the server, the database and the role.',
      ]
  throw new MigrationError('read_only', `The database accepts no changes, because ${reason}. ${remedy}`)
}

/** Refuses a database that can't store every text. */
export async function refuseOtherEncoding(client: pg.Client): Promise<void> {
  const { rows } = await client.query('show server_encoding')
  const { server_encoding: encoding } = rows[0]
  if (encoding === 'UTF8') return
  throw new MigrationError(
    'other_encoding',
    `The database has the encoding ${encoding}, which can't store the names and logs of apps. Create one ` +
      "with: create database bloud encoding 'UTF8' locale 'C' template template0; and set DATABASE_URL to it.",
  )
}

/** Refuses a schema with objects that bloud_owner does not own, before the first of them causes an error. */
export async function refuseOtherOwner(client: pg.Client): Promise<void> {
  const { rows } = await client.query(`
    select format('The schema bloud belongs to %s', nspowner::regrole) as reason,
      format('alter schema bloud owner to bloud_owner') as remedy
    from pg_namespace where nspname = 'bloud' and nspowner <> 'bloud_owner'::regrole
    union all select format('%s belongs to %s', c.oid::regclass, c.relowner::regrole),
      format('alter table %s owner to bloud_owner', c.oid::regclass)
    from pg_class c where c.relnamespace = to_regnamespace('bloud') and c.relkind in ('r', 'v', 'S')
      and c.relowner <> 'bloud_owner'::regrole
    limit 1`)
  if (!rows[0]) return
  throw new MigrationError(
    'other_owner',
    `${rows[0].reason} and not to bloud_owner. If it is Bloud's, run as superuser: ${rows[0].remedy}; ` +
      'else set DATABASE_URL to another database.',
  )
}
