/** Paths of the NixOS host's files. The files that `nix/` reads or writes have the same names there. */
import { join } from 'node:path'
import { type RunFiles, runFiles } from '../rundirectory.ts'

export interface NixosPaths {
  /** Directory of all state of this host: `<data>/nixos`. */
  state: string
  /** The configuration, apps.json, which nix/apps.nix reads. */
  apps: string
  /** Directory with one directory per app, in which each secret is one file. */
  secrets: string
  /** Directory with one OAuth client secret per app: the only secrets that authentik may read. */
  clients: string
  /** Directory of the authentik blueprints. */
  blueprints: string
  /** Directory with one directory per run of the switch. */
  runs: string
  /** Request file with the id of the run to start. A systemd path unit is triggered by it. */
  request: string
  /**
   * Request file for a run that rolls back. Another path unit is triggered by it and runs another command.
   */
  rollback: string
  /** Directory of purge requests: a file named after an app requests deletion of that app's data. */
  purge: string
  /** File with a random token that marks the processes this agent starts itself. */
  mark: string
}

export interface RunPaths extends RunFiles {
  /** The run's apps, and the generation that was current before it. */
  request: string
  /** Stop request: the run ends its command when this file exists. */
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
 * Paths of one run's files.
 * @throws if `id` is not a run id, because the id becomes part of a path.
 */
export function runPaths(paths: NixosPaths, id: string): RunPaths {
  if (!RUN_ID.test(id)) throw new Error(`"${id}" is not a run id`)
  const dir = join(paths.runs, id)
  return { ...runFiles(dir), request: join(dir, 'request'), stop: join(dir, 'stop') }
}
