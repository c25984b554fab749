/**
 * PostgreSQL refuses to run as root. When the agent is root, its server runs as an unprivileged system user:
 * `postgres` when the machine has one, else one of our own.
 */
import { run } from '../system/childprocess.ts'
import { PostgresError } from './error.ts'

export interface ServerUser {
  uid: number
  gid: number
}

const OWN_USER = 'bloud-postgres'
const COMMAND_LIMIT_MS = 20_000

export const isRoot = () => process.getuid?.() === 0

/** The user to run the server as, or null: as ourselves. Needs an entry in passwd, initdb asks for it. */
export async function serverUser(): Promise<ServerUser | null> {
  if (!isRoot()) return null
  const user = (await lookUp('postgres')) ?? (await lookUp(OWN_USER)) ?? (await createUser())
  if (user) return user
  throw new PostgresError(
    'no_user',
    `PostgreSQL can't run as root, and there is no user "postgres" on this machine and "${OWN_USER}" could not be created. ` +
      'Create one (useradd --system postgres), run as an ordinary user, or set DATABASE_URL.',
  )
}

async function lookUp(name: string): Promise<ServerUser | null> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => {
      const { code, output } = await run('id', [flag, name], { limitMs: COMMAND_LIMIT_MS })
      return code === 0 ? Number(output) : 0
    }),
  )
  return uid && gid ? { uid, gid } : null
}

async function createUser(): Promise<ServerUser | null> {
  const args = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent']
  try {
    await run('useradd', [...args, '--shell', '/usr/sbin/nologin', OWN_USER], { limitMs: COMMAND_LIMIT_MS })
  } catch {
    return null
  }
  return lookUp(OWN_USER)
}
