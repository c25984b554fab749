/** Messages between setup.ts, which runs in a process of its own, and `npm start`. */
import type { Config } from '../config.ts'
import type { Credentials } from '../postgres/credentials.ts'
import type { Prepared } from '../postgres/preparation.ts'

export interface Steps {
  /** Reads the settings. */
  config(): Promise<Config>
  /** Prepares the programs and the data directory of the embedded PostgreSQL. */
  prepare(dataDir: string): Promise<Prepared>
  /**
   * Brings the database up to date. `server` is the embedded PostgreSQL, or null if the settings name another
   * server. Returns why the database refuses the data folder, in sentences, or null.
   */
  migrate(config: Config, server: { superuserUrl: string; facts: Credentials } | null): Promise<string | null>
  /** Starts the apps. */
  startHost(config: Config): Promise<void>
  /** Ends the apps, and changes of the machine that are in progress. */
  stopHost(config: Config): Promise<void>
}

export interface SetupRequest {
  id: number
  step: keyof Steps
  args: unknown[]
}

export type SetupReply =
  | { id: number; value: unknown; error?: undefined }
  | { id: number; error: { code: string; message: string; stack: string; isExpected: boolean } }
