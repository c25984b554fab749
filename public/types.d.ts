// Types of the page, for tsc only: the browser never loads this file. Types of HTTP bodies mirror src/domain.

import type { Status } from '../src/domain/status.ts'

export type { Status }

/** A public SQL function that requests an operation; `purge` is an uninstall that also deletes the data. */
export type Verb = 'install' | 'retry' | 'cancel' | 'uninstall' | 'purge' | 'rollback'

/** Reason for a failed operation. */
export interface Cause {
  class: string
  phase?: Status
  message: string
  hint?: string
  exit_code?: number
  unit?: string
  log?: string[]
}

/** A verb with whether the database allows it now. */
export interface Control {
  allowed: boolean
  reason: string | null
  code: string | null
}

/** Columns of bloud.apps, which the stream sends at every change of an app. */
export interface AppRow {
  id: number | string
  name: string
  display_name: string
  version: string | null
  status: Status
  port: number | null
  is_system: boolean
  integration_config?: Record<string, unknown>
  installed_at: string | null
  updated_at: string
}

/** An app in the result of GET /api/status. */
export interface AppStatus extends AppRow {
  status_since: string
  wanted?: boolean
  operation_id: number | string | null
  operation_kind?: string | null
  operation_state?: string | null
  cancel_requested_at?: string | null
  warnings?: string[]
  cause: Cause | null
  deadline?: string | null
  /** Duration in seconds of each status that the present operation has left. */
  step_seconds: Partial<Record<Status, number>>
  /** Usual duration of this status; null below five samples. */
  usual?: { p50_seconds: number; p90_seconds: number; samples: number } | null
  queue_position?: number | null
  required_by?: string[]
  /** Protocol on the port of the app; only `http` can be opened in a browser. */
  protocol?: 'http' | 'tcp' | undefined
  controls?: Partial<Record<Verb, Control>>
}

/** A transition of an app: one row of bloud.events. */
export interface AppEvent extends AppRow {
  seq: number | string
  app: string
  from_status: Status | null
  to_status: Status | null
  at: string
  operation_id: number | string | null
  actor?: string
  origin?: string
  cause: Cause | null
}

export interface Operation {
  id: number | string
  app: string
  kind: string
  state: string
}

export interface CatalogEntry {
  name: string
  display_name: string
  description: string | null
  category: string | null
  version: string | null
  port: number | null
  is_system: boolean
  unavailable: string | null
  status: Status | null
}

/** An error in the form of RFC 9457 (problem details). */
export interface Problem {
  title: string
  detail?: string | undefined
  hint?: string | undefined
  code?: string | undefined
}

export interface LogLine {
  line_no: number
  at: string
  line: string
}

/** An app in the state of the page. */
export type App = AppStatus & {
  /** True if the status is newer than the controls, and a status result is due. */
  stale: boolean
  /** Sequence number of the last event that the app contains. */
  seq: number
}

/** A row of bloud.history. */
export interface HistoryRow {
  seq: number | string
  at: string
  app: string
  from_status: Status | null
  to_status: Status | null
  /** Time in to_status; null for the present status. */
  duration_seconds: number | null
  operation_id: number | string | null
  actor: string
  origin: string
  class: string | null
  message: string | null
}

/** Apps that can fill a slot of an app, and those that an install would use. */
export interface PlanChoice {
  app: string
  slot: string
  required: boolean
  multi: boolean
  installed: string[]
  available: string[]
  recommended: string | null
  chosen: string[] | null
}

/** Consequences of an install. */
export interface Plan {
  app: string
  /** Apps in the order of installation; the requested app is the last. */
  installs: string[]
  choices: PlanChoice[]
  blockers: { sqlstate: string; message: string; detail: string | null; hint: string | null }[]
}

/** Consequences of a rollback: two generations, and the apps that are stopped or started. */
export interface RollbackPlan {
  from: string | null
  to: string | null
  turns_off: string[]
  turns_on: string[]
  blockers: Plan['blockers']
}

/** Names of the chosen apps, by `<app>.<slot>`. */
export type Choices = Record<string, string[]>

/** Address of the page: the list of all apps, one app, or one operation of an app. */
export interface Route {
  app: string | null
  operationId: string | null
}

/** A requested verb whose result is not shown yet. */
export interface Pending {
  action: Verb
  /** Cursor at the click: only a later event can be the result. */
  seq: number
  operationId: string | null
}

/** The log that is open on the page. */
export interface Log {
  app: string
  operationId: string
  /** True if the page opened the log for a running rebuild; the page then also closes it. */
  auto: boolean
  lines: LogLine[]
  /** Number of lines that were removed to stay below the limit. */
  dropped: number
  ended: boolean
}

/**
 * `stale`: the connection is open, but the agent receives no notifications from its database. `polling`: the
 * page polls every few seconds, because no stream works or other windows need the connections.
 */
export type Connection = 'connecting' | 'live' | 'polling' | 'stale' | 'reconnecting'

export interface State {
  connection: Connection
  /**
   * Time of the last event or heartbeat before a failure. The server's clock if `stale`, else the browser's.
   */
  staleSince: string | null
  loaded: boolean
  epoch: string | null
  seq: number
  /** A status result that is newer than the stream and waits for it. */
  earlyStatus: Extract<Message, { type: 'status' }> | null
  /** Milliseconds by which the browser's clock is ahead of the server's. */
  skew: number
  route: Route
  /** Host name in the address of the page; its apps are reached under the same name. */
  hostname: string
  apps: Record<string, App>
  /** Histories of the apps whose page was opened; newest row first. */
  histories: Record<string, HistoryRow[]>
  catalog: CatalogEntry[] | null
  catalogProblem: Problem | null
  pending: Record<string, Pending>
  refusals: Record<string, { action: Verb; problem: Problem }>
  /** Plan that is shown before an install. `choices`: the user's choices so far. */
  planDialog: { app: string; plan: Plan; choices: Choices; problem: Problem | null } | null
  /** Last known consequences of a rollback; null if not requested, because every app is healthy. */
  rollback: RollbackPlan | null
  log: Log | null
  /** Id of the operation whose log the user closed; that log does not open by itself again. */
  logClosed: string | null
  liveRegions: LiveRegions
}

/** Text about one app for a screen reader. */
export interface Announcement {
  app: string
  text: string
}

/**
 * Contents of the two ARIA live regions. `urgent`: one announcement for each app whose failure is its last
 * event.
 */
export interface LiveRegions {
  polite: Announcement
  urgent: Announcement[]
}

/** A change of the state: from the agent, from the network or from the user. */
export type Message =
  | { type: 'snapshot'; id: string; apps: AppStatus[]; receivedAt: number }
  | { type: 'app'; id: string; event: AppEvent; receivedAt: number; fresh: boolean }
  | { type: 'reset'; reason: string }
  | { type: 'refresh' }
  | { type: 'heartbeat'; at: string; receivedAt: number }
  | { type: 'stale'; since: string }
  | { type: 'status'; id: string; apps: AppStatus[]; receivedAt: number }
  | { type: 'connection'; state: Connection; since?: string | null }
  | { type: 'catalog'; entries: CatalogEntry[] }
  | { type: 'catalog-failed'; problem: Problem }
  | { type: 'history'; app: string; rows: HistoryRow[] }
  | { type: 'navigate'; route: Route }
  | { type: 'plan-open'; app: string; plan: Plan }
  | { type: 'plan-choose'; slot: string; apps: string[] }
  | { type: 'plan'; app: string; choices: Choices; plan: Plan | null; problem: Problem | null }
  | { type: 'plan-close' }
  | { type: 'rollback-plan'; plan: RollbackPlan }
  | { type: 'requested'; app: string; action: Verb }
  | { type: 'accepted'; app: string; action: Verb; operation: Operation }
  | { type: 'refused'; app: string; action: Verb; problem: Problem }
  | { type: 'dismiss'; app: string }
  | { type: 'log-open'; app: string }
  | { type: 'log-close' }
  | { type: 'log-lines'; operationId: string; lines: LogLine[] }
  | { type: 'log-end'; operationId: string }

/** Functions that the views may call. */
export interface Actions {
  /** Requests a verb; a refusal is shown at the app. */
  request(app: string, action: Verb): void
  /** Returns the consequences of a rollback; null after a failure, which is shown at `app`. */
  planRollback(app: string): Promise<RollbackPlan | null>
  /** Rolls the machine back. `app`: the app whose button was clicked; a refusal is shown there. */
  rollback(app: string, plan: RollbackPlan): void
  /** Installs the app of the plan dialog with the choices made. */
  confirmPlan(): void
  choose(slot: string, apps: string[]): void
  closePlan(): void
  dismiss(app: string): void
  openLog(app: string): void
  closeLog(): void
  loadHistory(app: string): void
  reloadCatalog(): void
  navigate(path: string): void
}
