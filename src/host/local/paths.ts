/** Where everything of the local host is. Nothing else in this folder joins a path to the data directory. */
import { join } from 'node:path'

export interface Paths {
  /** `<data>/host`: all state of the local host. */
  state: string
  config: string
  store: string
  generations: string
  current: string
  /** Bumped by every switch, so that the supervisor gives failing apps a fresh start. */
  activation: string
  switchLock: string
  npmCache: string
  /** One folder per run of the switch. */
  runs: string
  /** A random word that marks every process this state directory started. */
  mark: string
  supervisor: string
  supervisorLock: string
  supervisorState: string
  supervisorLog: string
}

export interface RunPaths {
  dir: string
  log: string
  /** The process was started, so it is alive or it is lost. */
  spawned: string
  lock: string
  claim: string
  activated: string
  result: string
  exit: string
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
  return {
    dir,
    log: join(dir, 'log'),
    spawned: join(dir, 'spawned'),
    lock: join(dir, 'lock'),
    claim: join(dir, 'claim'),
    activated: join(dir, 'activated'),
    result: join(dir, 'result.json'),
    exit: join(dir, 'exit'),
  }
}

export const appDataDir = (dataDir: string, name: string): string => join(dataDir, 'apps', name)
export const appLogFile = (dataDir: string, name: string): string => join(dataDir, 'logs', `${name}.log`)
