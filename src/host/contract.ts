/**
 * Interface of the two hosts that install and run apps: the NixOS host (apps in containers) and the local
 * host (apps as child processes, without NixOS). The agent writes the configuration of all apps and starts
 * the switch command (`nixos-rebuild switch`, or switch.ts without NixOS), which activates the
 * configuration.
 */
import type { CatalogApp } from '../domain/catalog.ts'
import type { PortOwner } from '../system/portowner.ts'

export type { PortOwner }

export interface WantedApp {
  name: string
  port: number
  catalog: CatalogApp
  integrationConfig: Record<string, unknown>
  /**
   * True if the rebuild installs the app. An app that was installed before keeps its earlier form if the host
   * can't build it any more, so that the other apps do not fail with it.
   */
  installing?: boolean | undefined
}

/** One execution of the switch command (`nixos-rebuild switch`, or switch.ts without NixOS). */
export interface Run {
  /**
   * Numbers of the rebuild (one change of the machine) and of its execution with a random end, for example
   * "17-1-5f0c2e9ab417". Without the end in runs of an earlier version.
   */
  id: string
}

export type RunState =
  /** The switch command was never started. */
  | { state: 'absent' }
  /**
   * The switch command still runs. With `activating`, the activation of the new generation has begun and must
   * not be interrupted.
   */
  | { state: 'running'; activating?: true }
  | { state: 'exited'; exitCode: number }
  /**
   * The switch command was cancelled, or was killed for example by a power failure, so there is no exit code.
   */
  | { state: 'lost' }

export type FailureClass = 'evaluate' | 'build' | 'activate'

/**
 * Failure of the switch command, for one app or as a whole. `log` contains the relevant lines of the output.
 */
export interface RunFailure {
  class: FailureClass
  message: string
  log: string[]
}

export interface RunResult {
  /** Failures by app name. Empty after a success, or if the host can't determine which apps failed. */
  failures: Record<string, RunFailure>
  /** Failure that can't be assigned to an app. */
  cause?: RunFailure | undefined
}

export interface Configured {
  /**
   * Problems by app name that don't prevent an app from running, for example that single sign-on could not be
   * set up.
   */
  warnings: Record<string, string[]>
}

export interface LogSlice {
  lines: string[]
  /** Byte offset at which the next read must begin. */
  nextOffset: number
}

export interface UnitState {
  state: 'running' | 'backoff' | 'stopped' | 'unknown'
  /** Exit code of the process that ended last, or null. A process that runs has no exit code yet. */
  exitCode: number | null
  /** Number of restarts after a crash since the host started the app. */
  restarts: number
  /** Id of the start after which `restarts` are counted, or null if not known. */
  series: string | null
  /** Time in ms since the host started the app, or null if not known. A restart is no start. */
  startedMsAgo: number | null
}

/** Reason why the host can't do its work now: a code, one sentence, and what to do. */
export interface HostProblem {
  cause: string
  sentence: string
  hint: string | null
}

export interface Host {
  kind: 'local' | 'nixos'
  /**
   * Returns the reasons why the host can't do its work now, for example because its supervisor does not run.
   * Called every few seconds.
   */
  problems?(): Promise<readonly HostProblem[]>
  /**
   * Creates the host's directories and starts its supervisor (process that runs the apps; local host only).
   * Idempotent.
   */
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Returns the reason why this host can't install the app, as a sentence for the operator. Returns null if
   * the host can install the app.
   */
  cannotInstall(app: CatalogApp): string | null
  /**
   * Returns the reason why the app could not start now, for example because its port is in use. Returns null
   * if there is no such reason.
   * @param running names of the apps that were installed before this rebuild
   */
  preflight(app: WantedApp, running: string[]): Promise<string | null>
  /** Replaces the configuration of the host by a configuration with exactly these apps. */
  configure(apps: WantedApp[]): Promise<Configured>
  /**
   * Returns the active generation (a complete configuration of the machine that can be activated again).
   * Returns null before the first activation.
   */
  generation(): Promise<string | null>
  /**
   * Starts the switch command, which continues if the agent ends. Does nothing if the same execution was
   * started before.
   * @param rollBackTo older generation to activate. If null, the command builds a new generation.
   */
  startSwitch(run: Run, rollBackTo?: string | null): Promise<void>
  /**
   * Returns the reason why this generation can't be activated again, as a sentence. Returns null if the
   * generation can be activated.
   */
  whyNoRollback(generation: string): Promise<string | null>
  inspect(run: Run): Promise<RunState>
  /**
   * Returns the failures of one execution of the switch command. The result is complete only after its end.
   */
  result(run: Run): Promise<RunResult>
  /**
   * Reads whole lines of the switch command's log from a byte offset. An unfinished last line is returned
   * only after the command has ended.
   */
  readLog(run: Run, offset: number, maxBytes: number): Promise<LogSlice>
  /**
   * Calls `onChange` when the log may have grown. Callers must also poll the log, because file events can be
   * lost.
   * @returns a function that ends the calls.
   */
  watchLog(run: Run, onChange: () => void): () => void
  /**
   * Stops the switch command and returns true. Returns false if the activation has begun, because an
   * activation is never interrupted.
   */
  stopSwitch(run: Run): Promise<boolean>
  appLog(name: string, lines: number): Promise<string[]>
  unitState(name: string): Promise<UnitState>
  /**
   * Calls `onChange` when an app may have been started, restarted or stopped. Callers must also ask at times,
   * because file events can be lost.
   * @returns a function that ends the calls.
   */
  watchUnits?(onChange: () => void): () => void
  /** Returns who listens on the port of the app: the processes that the host started for it, or others. */
  portOwner(app: WantedApp): Promise<PortOwner>
  /** Deletes the files of an uninstalled app permanently. Idempotent. */
  removeData(name: string): Promise<void>
}
