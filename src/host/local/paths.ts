/** Paths, process marks and exit codes by which the agent and switch.ts work together. */
import { join } from 'node:path'
import { type RunFiles, runFiles } from '../rundirectory.ts'

/** Exit codes of switch.ts. */
export const EXIT_NOTHING_SWITCHED = 1
export const EXIT_UNITS_FAILED = 4
export const EXIT_STOPPED = 143

export interface Paths {
  /** Directory of all files that the agent writes for apps without NixOS, `<data>/host`. */
  state: string
  /** Directory of apps.json, the list of apps that switch.ts installs. */
  config: string
  store: string
  /**
   * Directory with one numbered directory per generation (a complete configuration that can be activated
   * again).
   */
  generations: string
  current: string
  /**
   * File to which switch.ts writes the id of each activation. After a change of the id, the supervisor
   * (process that runs the apps) restarts failing apps at once.
   */
  activation: string
  /** File lock that prevents two executions of switch.ts at the same time. */
  switchLock: string
  npmCache: string
  /** Directory of the C++ headers of Node, one directory per version. */
  nodeHeaders: string
  /** Home directory of npm and its install scripts. */
  npmHome: string
  /** Directory with one directory per execution of switch.ts, for its log and exit code. */
  runs: string
  /**
   * File with the random text with which the environment variable BLOUD_MARK begins. Child processes of the
   * agent are found by this variable.
   */
  mark: string
  supervisor: string
  supervisorLock: string
  supervisorState: string
  supervisorLog: string
}

export interface RunPaths extends RunFiles {
  /** File that the agent creates after it has started the process of switch.ts. */
  spawned: string
  result: string
}

export function statePaths(state: string): Paths {
  const supervisor = join(state, 'supervisor')
  return {
    state,
    config: join(state, 'config'),
    store: join(state, 'store'),
    generations: join(state, 'generations'),
    current: join(state, 'current'),
    activation: join(state, 'activation.json'),
    switchLock: join(state, 'switch.lock'),
    runs: join(state, 'runs'),
    npmCache: join(state, 'npm-cache'),
    npmHome: join(state, 'npm-home'),
    nodeHeaders: join(state, 'node-headers'),
    mark: join(state, 'mark'),
    supervisor,
    supervisorLock: join(supervisor, 'lock'),
    supervisorState: join(supervisor, 'state.json'),
    supervisorLog: join(supervisor, 'log'),
  }
}

export function runPaths(dir: string): RunPaths {
  return { ...runFiles(dir), spawned: join(dir, 'spawned'), result: join(dir, 'result.json') }
}

export const appDataDir = (dataDir: string, name: string): string => join(dataDir, 'apps', name)
export const appLogFile = (dataDir: string, name: string): string => join(dataDir, 'logs', `${name}.log`)

/**
 * Returns the text with which the environment variable BLOUD_MARK of every npm process begins. npm processes
 * are found by this variable.
 */
export const npmMarks = (mark: string) => `${mark}/npm`
