/**
 * Selects the system user that runs the PostgreSQL server. If the agent runs as root, the server needs
 * another user, because PostgreSQL refuses to run as root.
 */
import { run } from '../system/childprocess.ts'
import { createUser, findUser, isRoot, type SystemUser } from '../system/systemuser.ts'
import { PostgresError } from './error.ts'

export type ServerUser = SystemUser

const OWN_USER = 'bloud-postgres'
const COMMAND_LIMIT_MS = 20_000

/**
 * Returns the system user for the server, or null if the agent's own user can run the server. The user must
 * exist in the system's list of users, because initdb reads the name of the user there.
 */
export async function serverUser(): Promise<ServerUser | null> {
  if (!isRoot()) {
    await refuseNameless()
    return null
  }
  const user = (await findUser('postgres')) ?? (await findUser(OWN_USER)) ?? (await createUser(OWN_USER))
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
