/**
 * The interface between the agent and the kinds of host, `nixos` and `local`. Both work alike: the agent
 * writes a configuration, the switch runs in a process outside the agent, and afterwards a new generation is
 * active.
 */
import type { CatalogApp } from '../domain/catalog.ts'

/** An app that the next generation contains. */
export interface WantedApp {
  name: string
  port: number
  catalog: CatalogApp
  integrationConfig: Record<string, unknown>
}

/** One run of the switch. A run starts at most once. */
export interface Run {
  /** The rebuild's id and the run number within the rebuild, e.g. "17-1". */
  id: string
}

export type RunState =
  /** Never started. */
  | { state: 'absent' }
  /** Has a live process. `activating`: the switch to the new generation has begun and can't be stopped. */
  | { state: 'running'; activating?: true }
  /** Ended and wrote its exit code. */
  | { state: 'exited'; exitCode: number }
  /** Started, but has no live process and no exit code: killed, or the machine lost power. */
  | { state: 'lost' }

export type FailureClass = 'evaluate' | 'build' | 'activate'

/** The reason why an app or a run failed. `log`: the last lines of output that show the reason. */
export interface RunFailure {
  class: FailureClass
  message: string
  log: string[]
}

export interface RunResult {
  /** Failed apps by name; empty if the host can't find out which apps failed. */
  failures: Record<string, RunFailure>
  /** Reason of a failure that no app caused, or that can't be assigned to an app. */
  cause?: RunFailure
}

export interface Configured {
  /** By app name: parts of the app's setup that failed although the app can run, e.g. its single sign-on. */
  warnings: Record<string, string[]>
}

export interface LogSlice {
  lines: string[]
  /** Start of the next read, in bytes. */
  nextOffset: number
}

export interface UnitState {
  state: 'running' | 'backoff' | 'stopped' | 'unknown'
  exitCode: number | null
  restarts: number
}

export interface Host {
  kind: 'local' | 'nixos'
  /** Starts what the host needs (local: its supervisor). Idempotent. */
  start(): Promise<void>
  /** Stops only what start() of this instance started. Idempotent. */
  stop(): Promise<void>
  /**
   * Returns the reason why this host can't install the app, as a sentence for the operator; null if it can.
   */
  cannotInstall(app: CatalogApp): string | null
  /** Returns the reason why the app can't start now, e.g. its port is used; null if it can. */
  preflight(app: WantedApp, running: string[]): Promise<string | null>
  /** Writes the whole configuration, sorted and atomically: equal apps give an equal file. */
  configure(apps: WantedApp[]): Promise<Configured>
  /** Returns the active generation; null before the first. */
  generation(): Promise<string | null>
  /**
   * Starts a switch that outlives the agent. At most one runs at a time. A second call for the same run does
   * nothing.
   * @param rollBackTo an older generation to activate, instead of building a new one from the configuration.
   */
  startSwitch(run: Run, rollBackTo?: string | null): Promise<void>
  /** Returns the reason why a rollback to this generation is impossible, as a sentence; null if possible. */
  whyNoRollback(generation: string): Promise<string | null>
  inspect(run: Run): Promise<RunState>
  /** Returns the failures of a run. Only complete after the run has exited. */
  result(run: Run): Promise<RunResult>
  /**
   * Reads whole lines from a byte offset. Returns a last line without newline only after the run has ended.
   */
  readLog(run: Run, offset: number, maxBytes: number): Promise<LogSlice>
  /**
   * Calls `onChange` when the log may have grown. Calls can be lost, so the caller also polls.
   * @returns a function that ends the calls.
   */
  watchLog(run: Run, onChange: () => void): () => void
  /** Stops a run. true: none of its processes is left. false: refused, because activation has begun. */
  stopSwitch(run: Run): Promise<boolean>
  /** Returns the base URL for the health probe. */
  url(app: WantedApp): string
  /** Returns the last lines of the app's own output. */
  appLog(name: string, lines: number): Promise<string[]>
  unitState(name: string): Promise<UnitState>
  /** Deletes an app's data and log permanently. Idempotent. */
  removeData(name: string): Promise<void>
}
