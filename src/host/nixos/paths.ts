/** Where everything of the NixOS host is. What `nix/` reads or writes has the same names there. */
import { join } from 'node:path'

export interface NixosPaths {
  /** `<data>/nixos`: all state of this host. */
  state: string
  /** Read by nix/apps.nix. */
  apps: string
  /** One folder per app, one file per secret. */
  secrets: string
  /** One OAuth client secret per app: what authentik may read, and nothing else. */
  clients: string
  blueprints: string
  /** One folder per run of the switch. */
  runs: string
  /** Holds the id of the run that is to start. A path unit of systemd waits for it. */
  request: string
  /** As `request`, for a run that goes back to the generation before: another unit, another command. */
  rollback: string
  /** A file in it, called like an app, asks for the app's data to be deleted. Another path unit waits for it. */
  purge: string
  /** A random word that marks the processes this agent starts itself. */
  mark: string
}

export interface RunPaths {
  dir: string
  /** What was asked for: the apps, and the generation that was on. */
  request: string
  log: string
  /** Held by the kernel for as long as the run lives. */
  lock: string
  /** Whoever makes it first decides whether the run begins or never will. */
  claim: string
  activated: string
  /** Its being there asks the run to end. */
  stop: string
  exit: string
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

/** @throws for anything but the id of a run: it becomes a path. */
export function runPaths(paths: NixosPaths, id: string): RunPaths {
  if (!RUN_ID.test(id)) throw new Error(`"${id}" is no run id`)
  const dir = join(paths.runs, id)
  return {
    dir,
    request: join(dir, 'request'),
    log: join(dir, 'log'),
    lock: join(dir, 'lock'),
    claim: join(dir, 'claim'),
    activated: join(dir, 'activated'),
    stop: join(dir, 'stop'),
    exit: join(dir, 'exit'),
  }
}
