/** Prepares what the processes of the local host need: user, directories, Node and environment. */
import { mkdir } from 'node:fs/promises'
import type { Environment } from '../../system/environment.ts'
import { describeUser } from '../../system/systemuser.ts'
import { appUser, copyNpmrc, foldersOfNpm, grantAccess, nodeFor, refuseUnreachable } from './appuser.ts'
import type { Confinement } from './confinement.ts'
import { supervisorEnvironment, toolEnvironment } from './environment.ts'
import type { Paths } from './paths.ts'

export interface Prepared {
  /** Node that runs switch.ts, the supervisor and the apps. */
  nodePath: string
  /** Environment of switch.ts and of npm. */
  environment: Environment
  supervisorEnvironment: Environment
  /** User and folders of npm and the apps, or null if they run as the user of the agent. */
  confinement: Confinement | null
}

export interface PreparationOptions {
  paths: Paths
  dataDir: string
  nodePath: string
  environment: NodeJS.ProcessEnv
  log: (line: string) => void
}

/** @throws HostError if the agent runs as root and npm and the apps can't run as another user. */
export async function prepareHost(options: PreparationOptions): Promise<Prepared> {
  const { paths, dataDir, environment: given, log } = options
  await mkdir(paths.npmHome, { recursive: true, mode: 0o700 })
  const user = await appUser(dataDir)
  if (!user) return prepared(options, options.nodePath, null)
  await grantAccess(user, paths, dataDir)
  await refuseUnreachable(user, dataDir)
  const nodePath = await nodeFor(user, options.nodePath)
  const needed = [dataDir, ...foldersOfNpm(given.PATH ?? '')]
  log(`the agent runs as root: npm and the apps run as the user ${await describeUser(user)}`)
  const all = prepared(options, nodePath, { ...user, needed })
  const npmrc = all.environment.npm_config_userconfig ?? ''
  all.environment.npm_config_userconfig = await copyNpmrc(user, npmrc, paths.npmHome)
  // These variables describe root. The folder TMPDIR may be root's.
  for (const name of ['USER', 'LOGNAME', 'TMPDIR']) delete all.environment[name]
  return all
}

function prepared(
  { paths, environment: given }: PreparationOptions,
  nodePath: string,
  confinement: Confinement | null,
): Prepared {
  return {
    nodePath,
    environment: toolEnvironment(given, nodePath, paths.npmHome),
    supervisorEnvironment: supervisorEnvironment(given, nodePath),
    confinement,
  }
}
