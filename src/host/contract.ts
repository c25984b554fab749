/**
 * What the agent needs of a host, and nothing about how a host does it. `nixos` and `local` implement it alike: a
 * configuration is written, a switch runs outside the agent, a generation is on afterwards.
 */
import type { CatalogApp } from '../domain/catalog.ts'

/** An app that is to be on after the next switch. */
export interface WantedApp {
  name: string
  port: number
  catalog: CatalogApp
  integrationConfig: Record<string, unknown>
}

/** One run of the switch, e.g. "17-1": the rebuild's id and its run number. Starts at most once. */
export interface Run {
  id: string
}

export type RunState =
  | { state: 'absent' } /** never started */
  /** A live process holds it. `activating`: the machine is being switched over, and there is no way back. */
  | { state: 'running'; activating?: true }
  | { state: 'exited'; exitCode: number } /** it said how it ended */
  | { state: 'lost' } /** started, no live process, nothing said: killed, or power was lost */

export type FailureClass = 'evaluate' | 'build' | 'activate'

/** Why one app of a run is to blame, with the last lines of output that show it. */
export interface RunFailure {
  class: FailureClass
  message: string
  log: string[]
}

export interface RunResult {
  /** By app name; empty when the host cannot tell the guilty. */
  failures: Record<string, RunFailure>
  /** What went wrong, when it is nobody's fault or nobody can be named. */
  cause?: RunFailure
}

export interface Configured {
  /** By app name: what could not be set up although the app itself can be, e.g. its single sign-on. */
  warnings: Record<string, string[]>
}

export interface LogSlice {
  lines: string[]
  /** Where the next read begins, in bytes. */
  nextOffset: number
}

export interface UnitState {
  state: 'running' | 'backoff' | 'stopped' | 'unknown'
  exitCode: number | null
  restarts: number
}

export interface Host {
  kind: 'local' | 'nixos'
  /** Brings up what the host needs (local: its supervisor). Idempotent. */
  start(): Promise<void>
  /** Stops only what this instance's start() started. Idempotent. */
  stop(): Promise<void>
  /** Why this app can't be installed here, as a sentence for a person; null if it can. */
  cannotInstall(app: CatalogApp): string | null
  /** What would go wrong if it were switched on now, e.g. its port is taken; null if nothing. */
  preflight(app: WantedApp, running: string[]): Promise<string | null>
  /** Writes the whole configuration: deterministic (sorted) and atomic. */
  configure(apps: WantedApp[]): Promise<Configured>
  /** What is switched on now. */
  generation(): Promise<string | null>
  /**
   * Starts a switch that outlives the agent. At most one runs at a time; asking twice for one run is harmless.
   * @param rollBackTo an older generation to go back to, instead of making one of what is configured.
   */
  startSwitch(run: Run, rollBackTo?: string | null): Promise<void>
  /** Why it can't go back to this generation, as a sentence for a person; null if it can. */
  whyNoRollback(generation: string): Promise<string | null>
  inspect(run: Run): Promise<RunState>
  /** To be read after the run has exited. */
  result(run: Run): Promise<RunResult>
  /** Whole lines from a byte offset; a last line without its end only once the run is over. */
  readLog(run: Run, offset: number, maxBytes: number): Promise<LogSlice>
  /** Calls back when there may be more to read. A wake-up only: the caller also polls. Returns how to stop. */
  watchLog(run: Run, onChange: () => void): () => void
  /** true: nothing of it runs any more. false: refused, because activation has begun. */
  stopSwitch(run: Run): Promise<boolean>
  /** Base URL for the health probe. */
  url(app: WantedApp): string
  /** The last lines of the app's own output. */
  appLog(name: string, lines: number): Promise<string[]>
  unitState(name: string): Promise<UnitState>
  /** Removes an app's data and log for good. Idempotent. */
  removeData(name: string): Promise<void>
}
