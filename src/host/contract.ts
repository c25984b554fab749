/**
 * Interface between the agent and its host, `nixos` or `local`. The agent writes a configuration and starts
 * the switch command. After a successful switch command, a new host generation is active.
 */
import type { CatalogApp } from '../domain/catalog.ts'

/** App in the configuration of the host. */
export interface WantedApp {
  name: string
  port: number
  catalog: CatalogApp
  integrationConfig: Record<string, unknown>
}

/** One run of the switch command (`nixos-rebuild switch` on NixOS). */
export interface Run {
  /** Id of the run, for example "17-1" for the first run of rebuild 17. */
  id: string
}

export type RunState =
  /** The run has never been started. */
  | { state: 'absent' }
  /**
   * The run has a live process. With `activating`, the activation of the new host generation has begun and
   * can't be stopped.
   */
  | { state: 'running'; activating?: true }
  /** The run has ended and written its exit code. */
  | { state: 'exited'; exitCode: number }
  /** The process of the run was killed before writing an exit code, for example by a power failure. */
  | { state: 'lost' }

export type FailureClass = 'evaluate' | 'build' | 'activate'

/**
 * Reason why an app or a run of the switch command failed. `log` contains the output that shows the reason.
 */
export interface RunFailure {
  class: FailureClass
  message: string
  log: string[]
}

export interface RunResult {
  /** Reasons by the name of the failed app. Empty if the host can't determine which apps failed. */
  failures: Record<string, RunFailure>
  /** Reason of a failure that can't be assigned to an app. */
  cause?: RunFailure
}

export interface Configured {
  /**
   * Warnings by app name, for example that single sign-on could not be set up. The app can run without the
   * failed part.
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
  exitCode: number | null
  restarts: number
}

export interface Host {
  kind: 'local' | 'nixos'
  /** Starts the processes that the host needs, such as the supervisor of the local host. Idempotent. */
  start(): Promise<void>
  /** Stops the processes that `start` of this object started. Idempotent. */
  stop(): Promise<void>
  /**
   * Returns the reason why this host can't install the app, as a sentence for the operator. Returns null if
   * the host can install the app.
   */
  cannotInstall(app: CatalogApp): string | null
  /**
   * Returns the reason why the app can't start now, for example a used port. Returns null if the app can
   * start.
   */
  preflight(app: WantedApp, running: string[]): Promise<string | null>
  /** Writes the whole configuration atomically. The same apps always give the same file content. */
  configure(apps: WantedApp[]): Promise<Configured>
  /** Returns the active host generation. Returns null if no generation was ever activated. */
  generation(): Promise<string | null>
  /**
   * Starts a run of the switch command, which continues if the agent ends. A second call for the same run has
   * no effect.
   * @param rollBackTo older host generation to activate. If null, a new generation is built from the
   * configuration.
   */
  startSwitch(run: Run, rollBackTo?: string | null): Promise<void>
  /**
   * Returns the reason why a rollback to this host generation is impossible, as a sentence. Returns null if
   * the rollback is possible.
   */
  whyNoRollback(generation: string): Promise<string | null>
  inspect(run: Run): Promise<RunState>
  /** Returns the failures of a run. The result is complete only when the run has ended. */
  result(run: Run): Promise<RunResult>
  /**
   * Reads whole lines of the log of a run, from a byte offset. After the end of the run, text after the last
   * newline is also a line.
   */
  readLog(run: Run, offset: number, maxBytes: number): Promise<LogSlice>
  /**
   * Calls `onChange` when the log of a run may have grown. Some changes cause no call, because file events
   * can be lost.
   * @returns a function that ends the calls.
   */
  watchLog(run: Run, onChange: () => void): () => void
  /**
   * Stops a run and returns true. Returns false if the run's activation has begun, because an activation
   * can't be stopped.
   */
  stopSwitch(run: Run): Promise<boolean>
  /** Returns the URL to which the app's health path is appended. */
  url(app: WantedApp): string
  /** Returns the last lines of the app's output. */
  appLog(name: string, lines: number): Promise<string[]>
  unitState(name: string): Promise<UnitState>
  /** Deletes an app's data and log permanently. Idempotent. */
  removeData(name: string): Promise<void>
}
