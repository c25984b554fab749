/**
 * Interface between the agent and its host, `nixos` or `local`. The agent writes a configuration and starts
 * the switch command in a separate process. After a successful switch command, a new host generation is
 * active.
 */
import type { CatalogApp } from '../domain/catalog.ts'

/** App that the next host generation contains. */
export interface WantedApp {
  name: string
  port: number
  catalog: CatalogApp
  integrationConfig: Record<string, unknown>
}

/** One run of the switch command. A run starts at most once. */
export interface Run {
  /** Id of the run, for example "17-1" for the first run of rebuild 17. */
  id: string
}

export type RunState =
  /** The run was never started. */
  | { state: 'absent' }
  /**
   * The run has a live process. `activating` means that the activation of the new generation has begun and
   * can't be stopped.
   */
  | { state: 'running'; activating?: true }
  /** The run has ended and written its exit code. */
  | { state: 'exited'; exitCode: number }
  /**
   * The run was started, but has neither a live process nor an exit code. Its process was killed, or the
   * machine lost power.
   */
  | { state: 'lost' }

export type FailureClass = 'evaluate' | 'build' | 'activate'

/** Reason why an app or a run failed. `log` contains the last output lines that show the reason. */
export interface RunFailure {
  class: FailureClass
  message: string
  log: string[]
}

export interface RunResult {
  /** Failed apps by name. Empty if the host can't determine which apps failed. */
  failures: Record<string, RunFailure>
  /** Reason of a failure that can't be assigned to an app. */
  cause?: RunFailure
}

export interface Configured {
  /**
   * Warnings by app name. A warning names a part of the app's setup that failed although the app can run, for
   * example single sign-on.
   */
  warnings: Record<string, string[]>
}

export interface LogSlice {
  lines: string[]
  /** Byte offset of the next read. */
  nextOffset: number
}

export interface UnitState {
  state: 'running' | 'backoff' | 'stopped' | 'unknown'
  exitCode: number | null
  restarts: number
}

export interface Host {
  kind: 'local' | 'nixos'
  /** Starts the processes that the host needs, for example the supervisor of the local host. Idempotent. */
  start(): Promise<void>
  /** Stops only the processes that start() of this instance started. Idempotent. */
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
  /**
   * Writes the whole configuration atomically. The configuration is sorted, so the same apps always give the
   * same file content.
   */
  configure(apps: WantedApp[]): Promise<Configured>
  /** Returns the active host generation. Returns null before the first generation. */
  generation(): Promise<string | null>
  /**
   * Starts a run of the switch command, which outlives the agent. At most one run is active at a time. A
   * second call for the same run has no effect.
   * @param rollBackTo an older generation that the run activates, instead of building a generation from the
   * configuration.
   */
  startSwitch(run: Run, rollBackTo?: string | null): Promise<void>
  /**
   * Returns the reason why a rollback to this generation is impossible, as a sentence. Returns null if the
   * rollback is possible.
   */
  whyNoRollback(generation: string): Promise<string | null>
  inspect(run: Run): Promise<RunState>
  /** Returns the failures of a run. The result is complete only after the run has exited. */
  result(run: Run): Promise<RunResult>
  /**
   * Reads whole lines of a run's log from a byte offset. Returns a last line without newline only after the
   * run has ended.
   */
  readLog(run: Run, offset: number, maxBytes: number): Promise<LogSlice>
  /**
   * Calls `onChange` when the log of a run may have grown. The caller also polls, because file events can be
   * lost.
   * @returns a function that ends the calls.
   */
  watchLog(run: Run, onChange: () => void): () => void
  /**
   * Stops a run. Returns true if no process of the run is left. Returns false if the run can't be stopped
   * because its activation has begun.
   */
  stopSwitch(run: Run): Promise<boolean>
  /** Returns the base URL for the app's health probe. */
  url(app: WantedApp): string
  /** Returns the last output lines of the app. */
  appLog(name: string, lines: number): Promise<string[]>
  unitState(name: string): Promise<UnitState>
  /** Deletes an app's data and log permanently. Idempotent. */
  removeData(name: string): Promise<void>
}
