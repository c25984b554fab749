/**
 * What programs we start may see of the agent's environment: enough for npm to work behind a proxy or with a
 * mirror, and nothing secret, such as DATABASE_URL.
 */
import { homedir } from 'node:os'
import { delimiter, dirname } from 'node:path'

export type Environment = Record<string, string>

const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** For npm and the compilers its install scripts start. */
const TOOL_VARIABLES =
  /^(user|logname|lang|lc_\w+|tz|tmpdir|(https?|no|all)_proxy|node_extra_ca_certs|ssl_cert_(file|dir)|cc|cxx|make|python|npm_config_(registry|userconfig|globalconfig|proxy|https_proxy|noproxy|cafile|ca|strict_ssl|fetch_\w+))$/i

/** The environment of the switch, and so of npm. */
export function toolEnvironment(given: NodeJS.ProcessEnv, nodePath: string): Environment {
  const kept: Environment = {}
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && TOOL_VARIABLES.test(name)) kept[name] = value
  }
  kept.HOME = given.HOME ?? homedir()
  // Our Node comes first: install scripts must run on, and build for, the Node that will run the app.
  kept.PATH = [dirname(nodePath), given.PATH ?? SYSTEM_PATH.join(delimiter)].join(delimiter)
  return kept
}

/** The environment of an app: minimal, and the same on every machine. */
export function appEnvironment(app: { port: number; dataDir: string; nodePath: string }): Environment {
  return {
    PATH: [dirname(app.nodePath), ...SYSTEM_PATH].join(delimiter),
    HOME: app.dataDir,
    LANG: 'C.UTF-8',
    NODE_ENV: 'production',
    PORT: String(app.port),
  }
}
