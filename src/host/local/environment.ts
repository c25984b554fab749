/**
 * Selects the environment variables of child processes. Other variables are not passed on, because they can
 * contain secrets, for example DATABASE_URL.
 */
import { homedir } from 'node:os'
import { delimiter, dirname } from 'node:path'

export type Environment = Record<string, string>

const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** Pattern of the environment variables that npm and compilers need. */
const TOOL_VARIABLES =
  /^(user|logname|lang|lc_\w+|tz|tmpdir|(https?|no|all)_proxy|node_extra_ca_certs|ssl_cert_(file|dir)|cc|cxx|make|python|npm_config_(registry|userconfig|globalconfig|proxy|https_proxy|noproxy|cafile|ca|strict_ssl|fetch_\w+))$/i

/** Returns the environment of npm, of switch.ts and of the supervisor (process that runs the apps). */
export function toolEnvironment(given: NodeJS.ProcessEnv, nodePath: string): Environment {
  const kept: Environment = {}
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && TOOL_VARIABLES.test(name)) kept[name] = value
  }
  kept.HOME = given.HOME ?? homedir()
  // The Node that runs the apps comes first in PATH, because npm must compile native modules for the same
  // Node.
  kept.PATH = [dirname(nodePath), given.PATH ?? SYSTEM_PATH.join(delimiter)].join(delimiter)
  return kept
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
