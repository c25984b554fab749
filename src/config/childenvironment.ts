/**
 * Selects the environment variables of this process and of its child processes. The others are not kept,
 * because they can contain secrets.
 */
import {
  DATABASE_VARIABLES,
  type Environment,
  eraseFromProc,
  NIX_VARIABLES,
  NPM_VARIABLES,
  SYSTEM_VARIABLES,
  selectVariables,
  TERMINAL_VARIABLES,
} from '../system/environment.ts'
import { SETTINGS } from './settingnames.ts'

/** Settings that child processes inherit. They get the URL of the database in another way. */
const INHERITED = new RegExp(`^(${SETTINGS.filter((name) => !name.startsWith('DATABASE_')).join('|')})$`)
const HOST = [SYSTEM_VARIABLES, NPM_VARIABLES, NIX_VARIABLES]

/**
 * Removes from the environment of this process what is not a setting, and the passwords. Processes of the
 * same user, such as apps, could read them in /proc/<pid>/environ. The configuration must have been read
 * before.
 */
export function hideEnvironment(): void {
  const kept = [...HOST, INHERITED, DATABASE_VARIABLES, TERMINAL_VARIABLES]
  const isKept = (name: string) => kept.some((pattern) => pattern.test(name))
  for (const name of Object.keys(process.env)) if (!isKept(name)) delete process.env[name]
  eraseFromProc(isKept)
}

/** Returns the environment of the relay and of the orchestrator. */
export const agentEnvironment = (): Environment =>
  selectVariables(process.env, ...HOST, INHERITED, DATABASE_VARIABLES)

/** Returns the environment of setup.ts, which reads the settings and then hides what it does not need. */
export const setupEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env })

/** Returns the variables of which the host passes some to the processes that it starts. */
export const hostEnvironment = (): Environment => selectVariables(process.env, ...HOST)

/** Returns the environment of PostgreSQL's client programs. */
export const clientEnvironment = (): Environment =>
  selectVariables(process.env, SYSTEM_VARIABLES, DATABASE_VARIABLES, TERMINAL_VARIABLES)

/** Returns the directory in which the operator called npm, which itself changes to another directory. */
export const callerDirectory = (): string => process.env.INIT_CWD ?? '.'
