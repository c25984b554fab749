/**
 * Selects the environment variables of the local host's processes. Other variables are not passed on, because
 * they can contain secrets, for example DATABASE_URL.
 */
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import {
  type Environment,
  NPM_VARIABLES,
  SYSTEM_VARIABLES,
  selectVariables,
} from '../../system/environment.ts'

const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
const LOCALE_VARIABLES = /^(lang|language|lc_\w+|tz)$/i

/**
 * Returns the environment of npm and of switch.ts, which starts npm.
 * @param home home directory of npm, which keeps install scripts away from the operator's.
 */
export function toolEnvironment(given: NodeJS.ProcessEnv, nodePath: string, home: string): Environment {
  return {
    // The settings of npm stay those of the operator.
    npm_config_userconfig: join(given.HOME ?? homedir(), '.npmrc'),
    ...selectVariables(given, SYSTEM_VARIABLES, NPM_VARIABLES),
    HOME: home,
    // The Node that runs the apps comes first in PATH, because npm must compile native modules for the same
    // Node.
    PATH: [dirname(nodePath), given.PATH ?? SYSTEM_PATH.join(delimiter)].join(delimiter),
  }
}

/** Returns the environment of the supervisor (process that runs the apps). */
export function supervisorEnvironment(given: NodeJS.ProcessEnv, nodePath: string): Environment {
  return {
    ...selectVariables(given, LOCALE_VARIABLES),
    PATH: [dirname(nodePath), ...SYSTEM_PATH].join(delimiter),
  }
}

/** Returns the environment of an app, which does not depend on the environment of the agent. */
export function appEnvironment(app: { port: number; dataDir: string; nodePath: string }): Environment {
  return {
    PATH: [dirname(app.nodePath), ...SYSTEM_PATH].join(delimiter),
    HOME: app.dataDir,
    LANG: 'C.UTF-8',
    NODE_ENV: 'production',
    PORT: String(app.port),
  }
}
