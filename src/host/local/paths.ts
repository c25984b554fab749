/** Paths of the local host's files. All paths below the data directory are built here. */
import { join } from 'node:path'
import { type RunFiles, runFiles } from '../rundirectory.ts'

export interface Paths {
  /** Directory of all state of the local host: `<data>/host`. */
  state: string
  /** Directory of apps.json, the configuration that the agent writes. */
  config: string
  /** Directory of the installed packages. */
  store: string
  /** Directory with one numbered directory per generation. */
  generations: string
  /** Link to the active generation. */
  current: string
  /** Written anew by every switch, so that the supervisor restarts failing apps at once. */
  activation: string
  /** File lock: only one switch runs at a time. */
  switchLock: string
  npmCache: string
  /** Directory with one directory per run of the switch. */
  runs: string
  /** File with the random mark of every process that was started from this state directory. */
  mark: string
  supervisor: string
  supervisorLock: string
  supervisorState: string
  supervisorLog: string
}

export interface RunPaths extends RunFiles {
  /** Exists once the process was started: afterwards the run either has a live process or is lost. */
  spawned: string
  /** Failed apps of the run, as JSON. */
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
