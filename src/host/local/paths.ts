/** Paths of the local host's files below the data directory. */
import { join } from 'node:path'
import { type RunFiles, runFiles } from '../rundirectory.ts'

export interface Paths {
  /** Directory of all files of the local host, `<data>/host`. */
  state: string
  /** Directory of apps.json, which contains the configuration that the agent writes. */
  config: string
  /** Directory of the installed npm packages. */
  store: string
  /** Directory that contains one numbered directory per host generation. */
  generations: string
  /** Symbolic link to the active host generation. */
  current: string
  /**
   * File with the id of the newest activation, which the switch command writes. On a change of this file, the
   * supervisor restarts failing apps at once.
   */
  activation: string
  /** File lock that allows only one run of the switch command at a time. */
  switchLock: string
  npmCache: string
  /** Directory that contains one directory per run of the switch command. */
  runs: string
  /** File with the process mark (environment variable) of the processes that this host starts. */
  mark: string
  supervisor: string
  supervisorLock: string
  supervisorState: string
  supervisorLog: string
}

export interface RunPaths extends RunFiles {
  /**
   * File that exists when the process of the run has been started. If the process then ends without an exit
   * code, the run is lost.
   */
  spawned: string
  /** File with the apps that failed in the run, as JSON. */
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
