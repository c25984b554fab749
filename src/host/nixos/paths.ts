/** Paths of the NixOS host's files. The files in `nix/` use the same names. */
import { join } from 'node:path'
import { type RunFiles, runFiles } from '../rundirectory.ts'

export interface NixosPaths {
  /** Directory of all state of the NixOS host, `<data>/nixos`. */
  state: string
  /** File apps.json, the configuration that nix/apps.nix reads. */
  apps: string
  /** Directory that contains one directory per app. In the app's directory, every secret is a file. */
  secrets: string
  /** Directory that contains one OAuth client secret per app. authentik may read only these secrets. */
  clients: string
  /** Directory of the authentik blueprints. */
  blueprints: string
  /** Directory that contains one directory per run of the switch command. */
  runs: string
  /**
   * Request file with the id of the run to start. A systemd path unit starts the run when the file appears.
   */
  request: string
  /**
   * Request file of a rollback run. Another systemd path unit starts the rollback command when the file
   * appears.
   */
  rollback: string
  /**
   * Directory of purge requests. A file that is named after an app requests the deletion of that app's data.
   */
  purge: string
  /** File with a random process mark (environment variable) of the processes that this agent starts. */
  mark: string
}

export interface RunPaths extends RunFiles {
  /** File with the run's apps and the generation that was active before the run. */
  request: string
  /** Stop request. The run ends its command when this file exists. */
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
 * Returns the paths of one run's files.
 * @throws if `id` is not a run id, because the id becomes a part of the paths.
 */
export function runPaths(paths: NixosPaths, id: string): RunPaths {
  if (!RUN_ID.test(id)) throw new Error(`"${id}" is not a run id`)
  const dir = join(paths.runs, id)
  return { ...runFiles(dir), request: join(dir, 'request'), stop: join(dir, 'stop') }
}
