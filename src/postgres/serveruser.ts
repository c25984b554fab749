/**
 * Selects the system user that runs the PostgreSQL server. If the agent runs as root, the server needs
 * another user, because PostgreSQL refuses to run as root.
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

/**
 * Returns the system user for the server, or null if the agent's own user can run the server. The user must
 * exist in the system's list of users, because initdb reads the name of the user there.
 */
export async function serverUser(): Promise<ServerUser | null> {
  if (!isRoot()) {
    await refuseNameless()
    return null
  }
  const user = (await findUser('postgres')) ?? (await findUser(OWN_USER)) ?? (await createUser())
  if (user) return user
  throw new PostgresError(
    'no_user',
    `PostgreSQL can't run as root. This machine has no user "postgres", and creating "${OWN_USER}" failed. ` +
      'Create one (useradd --system postgres), run as an ordinary user, or set DATABASE_URL.',
  )
}

/** Refuses a user id without a name, for example of a container, because initdb needs the name. */
async function refuseNameless(): Promise<void> {
  const { code } = await run('id', ['-un'], { limitMs: COMMAND_LIMIT_MS })
  if (code === 0) return
  const uid = process.getuid?.()
  throw new PostgresError(
    'no_user',
    `The user id ${uid} has no name on this machine, and PostgreSQL can't run without one. Create the user ` +
      `(useradd --uid ${uid} bloud), or set DATABASE_URL to an existing server.`,
  )
}

async function findUser(name: string): Promise<ServerUser | null> {
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
  return findUser(OWN_USER)
}
