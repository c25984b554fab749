/**
 * Selects the environment variables of child processes, and erases the others from the environment that the
 * kernel shows of this process. Other variables can contain secrets of the operator.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

export type Environment = Record<string, string>

/** Variables that any program may need. */
export const SYSTEM_VARIABLES =
  /^(path|home|user|logname|lang|language|lc_\w+|locale_archive|tz|tmpdir|(https?|no|all)_proxy|node_extra_ca_certs|ssl_cert_(file|dir))$/i

/** Settings of PostgreSQL's clients, for example PGSSLMODE, without the passwords. */
export const DATABASE_VARIABLES = /^PG(?!(SSL)?PASSWORD$)[A-Z]+$/

/** Variables of programs in a terminal, for example psql with its pager and editor. */
export const TERMINAL_VARIABLES =
  /^(TERM|TERMINFO|TERM_PROGRAM|COLORTERM|NO_COLOR|COLUMNS|LINES|SHELL|PAGER|LESS\w*|EDITOR|VISUAL|INPUTRC|INIT_CWD|PSQL\w*)$/

/** Variables that npm and compilers need. Settings of npm that contain passwords are left out. */
export const NPM_VARIABLES =
  /^(cc|cxx|make|python|npm_config_(registry|userconfig|globalconfig|proxy|https_proxy|noproxy|cafile|ca|strict_ssl|fetch_\w+))$/i

/** Variables that Nix needs. */
export const NIX_VARIABLES = /^(nix_path|nix_remote|nix_ssl_cert_file|nix_config|nixos_config)$/i

export function selectVariables(given: NodeJS.ProcessEnv, ...patterns: RegExp[]): Environment {
  const kept = Object.entries(given).filter(([name]) => patterns.some((pattern) => pattern.test(name)))
  return Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/**
 * Overwrites variables in /proc/self/environ, which contains the variables with which this process was
 * started, and which processes of the same user can read. The caller has already deleted the variables from
 * process.env, so no part of the process uses this memory. Works only on Linux.
 * @param isKept true for the name of a variable that stays.
 */
export function eraseFromProc(isKept: (name: string) => boolean): void {
  if (process.platform !== 'linux') return
  try {
    const start = environmentAddress()
    const memory = openSync('/proc/self/mem', 'r+')
    try {
      for (const { offset, length } of entriesOf(readFileSync('/proc/self/environ'), isKept))
        writeSync(memory, Buffer.alloc(length), 0, length, start + offset)
    } finally {
      closeSync(memory)
    }
  } catch {
    // A container can forbid the access. The variables then stay visible to processes of the same user.
  }
}

/** Returns the address of the environment in the memory of this process: field 50 of /proc/self/stat. */
function environmentAddress(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  // The second field is the name in parentheses, which may contain spaces. The next field is field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const start = Number(fields[50 - 3])
  if (!Number.isSafeInteger(start) || start <= 0) throw new Error('The address of the environment is unknown')
  return start
}

function entriesOf(environment: Buffer, isKept: (name: string) => boolean) {
  const found: { offset: number; length: number }[] = []
  for (let offset = 0; offset < environment.length; ) {
    const end = environment.indexOf(0, offset)
    const length = (end < 0 ? environment.length : end) - offset
    const [name = ''] = environment.toString('utf8', offset, offset + length).split('=', 1)
    if (length > 0 && !isKept(name)) found.push({ offset, length })
    offset += length + 1
  }
  return found
}
