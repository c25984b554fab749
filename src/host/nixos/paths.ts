/**
 * Paths of the files that the agent writes on NixOS. The Nix code in `nix/` contains the same paths.
 */
import { join } from 'node:path'
import { type RunFiles, runFiles } from '../rundirectory.ts'

export interface NixosPaths {
  /** Directory of all files that the agent writes on NixOS, `<data>/nixos`. */
  state: string
  /** JSON file with the configured apps, which nix/apps.nix reads. */
  apps: string
  secrets: string
  /**
   * Directory with the OAuth client secrets of apps. Separate from the other secrets, because the container
   * of authentik mounts this directory.
   */
  clients: string
  /** Directory of the authentik blueprints (YAML files that set up sign-in). */
  blueprints: string
  /** Directory with one directory per execution of `nixos-rebuild switch`, for its log and exit code. */
  runs: string
  /** File that makes systemd start `nixos-rebuild switch`. Contains the id of the run. */
  request: string
  /** File that makes systemd start `nixos-rebuild switch --rollback`. Contains the id of the run. */
  rollback: string
  /** Directory of deletion requests. A file with the name of an app makes systemd delete the app's data. */
  purge: string
  /**
   * File with the random text with which the environment variable BLOUD_MARK begins. Child processes of the
   * agent are found by this variable.
   */
  mark: string
}

export interface RunPaths extends RunFiles {
  /** File with the names of the configured apps and the system that was active before. */
  request: string
  /** File with which the agent requests that `nixos-rebuild` is stopped. */
  stop: string
}

export const RUN_ID = /^[0-9]{1,12}-[0-9]{1,6}(-[0-9a-f]{12})?$/

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

export function runPaths(paths: NixosPaths, id: string): RunPaths {
  if (!RUN_ID.test(id)) throw new Error(`"${id}" is not a run id`)
  const dir = join(paths.runs, id)
  return { ...runFiles(dir), request: join(dir, 'request'), stop: join(dir, 'stop') }
}
