/** Paths of the NixOS host's files. The Nix code in `nix/` uses the same names. */
import { join } from 'node:path'
import { type RunFiles, runFiles } from '../rundirectory.ts'

export interface NixosPaths {
  /** Directory of all files of the NixOS host, `<data>/nixos`. */
  state: string
  /** File with the configuration, which nix/apps.nix reads. */
  apps: string
  /** Directory that contains one directory per app with the app's secrets. */
  secrets: string
  /**
   * Directory of the OAuth client secrets, one file per app. Separate from the other secrets, because
   * authentik may read this directory.
   */
  clients: string
  /** Directory of the authentik blueprints. */
  blueprints: string
  /** Directory that contains one directory per run of the switch command. */
  runs: string
  /** File with the id of a requested run. systemd starts the switch command when the file appears. */
  request: string
  /** File with the id of a requested rollback. systemd starts the rollback command when the file appears. */
  rollback: string
  /** Directory of purge requests. A file named after an app requests the deletion of the app's data. */
  purge: string
  /** File with the process mark (environment variable) of the processes that the agent starts. */
  mark: string
}

export interface RunPaths extends RunFiles {
  /** File with the names of the run's apps and the generation that was active before the run. */
  request: string
  /** File that requests the stop of the run. */
  stop: string
}

export const RUN_ID = /^[0-9]{1,12}-[0-9]{1,6}$/

export function nixosPaths(state: string): NixosPaths {
  return {
    state,
    apps: join(state, 'config', 'apps.json'),
    secrets: join(state, 'secrets'),
    clients: join(state, 'clients'),
    blueprints: join(state, 'blueprints'),
    runs: join(state, 'run'),
    request: join(state, 'request', 'current'),
    rollback: join(state, 'request', 'rollback'),
    purge: join(state, 'purge'),
    mark: join(state, 'mark'),
  }
}

/**
 * Returns the paths of the files of a run.
 * @throws if `id` is not the id of a run.
 */
export function runPaths(paths: NixosPaths, id: string): RunPaths {
  if (!RUN_ID.test(id)) throw new Error(`"${id}" is not a run id`)
  const dir = join(paths.runs, id)
  return { ...runFiles(dir), request: join(dir, 'request'), stop: join(dir, 'stop') }
}
