// Types of the web page for the TypeScript compiler. The browser never loads this file.

import type { Status } from '../src/domain/status.ts'

export type { Status }

/** Request of a user for an app. `purge` is an uninstall that also deletes the data of the app. */
export type Verb = 'install' | 'retry' | 'cancel' | 'uninstall' | 'purge' | 'rollback'

/** Reason why an operation failed or was cancelled. */
export interface Cause {
  class: string
  phase?: Status
  message: string
  hint?: string
  exit_code?: number
  unit?: string
  log?: string[]
}

/** Whether the database allows a button's request for an app. If not, `reason` is a sentence for the user. */
export interface Control {
  allowed: boolean
  reason: string | null
  code: string | null
}

/** Columns of the table bloud.apps. Every `app` event of the stream contains these columns. */
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

/** One app in the response of GET /api/status. */
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
  /** Duration in seconds of each finished status of the present operation. */
  step_seconds: Partial<Record<Status, number>>
  /** Usual duration of the present status, or null if it was measured fewer than five times. */
  usual?: { p50_seconds: number; p90_seconds: number; samples: number } | null
  /** Restarts after a crash in the last hour, or null without one. */
  restarts?: { count: number; exit_code: number | null; last_at: string } | null
  queue_position?: number | null
  required_by?: string[]
  /** Protocol on the app's port. The page shows a link only for `http`. */
  protocol?: 'http' | 'tcp' | undefined
  controls?: Partial<Record<Verb, Control>>
}

/** One change of an app's status: a row of the table bloud.events. */
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

/** Error response of the agent in the format of RFC 9457 (problem details). */
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

/** App in the state of the page: a row of GET /api/status with two more fields. */
export type App = AppStatus & {
  /** True if the app has changed since GET /api/status reported which buttons are allowed. */
  stale: boolean
  /** Number of the newest event that the object includes. */
  seq: number
}

/** A row of the view bloud.history: one change of an app's status. */
export interface HistoryRow {
  seq: number | string
  at: string
  app: string
  from_status: Status | null
  to_status: Status | null
  /** Seconds that the app stayed in to_status, or null for the present status. */
  duration_seconds: number | null
  operation_id: number | string | null
  actor: string
  origin: string
  class: string | null
  message: string | null
}

/** Slot of an app: a need that another app fills, such as its database. `chosen` lists the apps for it. */
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

/** Consequences of an install. `blockers` are the reasons why the install is not possible. */
export interface Plan {
  app: string
  /** Names of all apps to install: first the dependencies, last the requested app. */
  installs: string[]
  choices: PlanChoice[]
  blockers: { sqlstate: string; message: string; detail: string | null; hint: string | null }[]
}

/** Consequences of a rollback between two generations (complete configurations of the machine). */
export interface RollbackPlan {
  from: string | null
  to: string | null
  turns_off: string[]
  turns_on: string[]
  blockers: Plan['blockers']
}

/** Names of the apps that were chosen for the needs of an app. A key has the form `<app>.<slot>`. */
export type Choices = Record<string, string[]>

export interface Route {
  app: string | null
  operationId: string | null
}

/** A request of the user whose effect the page does not show yet. */
export interface Pending {
  action: Verb
  /** Number of the newest event at the time of the click. */
  seq: number
  operationId: string | null
}

export interface Log {
  app: string
  operationId: string
  /** True if the page opened the log without a click. The page then also closes the log by itself. */
  auto: boolean
  lines: LogLine[]
  /** Number of old lines that were removed because the log exceeded MAX_LINES (state/log.js). */
  dropped: number
  ended: boolean
}

/**
 * State of the connection to the agent. `stale`: the agent cannot read events from its database at present.
 * `polling`: the page requests events every few seconds instead of using a stream.
 */
export type Connection = 'connecting' | 'live' | 'polling' | 'stale' | 'reconnecting'

/** Reason why the agent is not ready: a code, one sentence, what to do, and the time since when. */
export type ReadinessCause = { cause: string; sentence: string; hint: string | null; since: string | null }

export interface State {
  connection: Connection
  /** Time since which the data may be out of date, or null. From the server's clock while `stale`. */
  staleSince: string | null
  /** Reasons why the agent is not ready. Empty if it is ready. */
  causes: ReadinessCause[]
  loaded: boolean
  epoch: string | null
  seq: number
  /** Response of GET /api/status that includes events not yet received, or null. */
  earlyStatus: Extract<Message, { type: 'status' }> | null
  /** Milliseconds by which the browser's clock is ahead of the server's clock. */
  skew: number
  route: Route
  /** Host name in the URL of the page, for links to apps on other ports. */
  hostname: string
  apps: Record<string, App>
  /** History rows of each app whose page was opened, newest row first. */
  histories: Record<string, HistoryRow[]>
  catalog: CatalogEntry[] | null
  catalogProblem: Problem | null
  pending: Record<string, Pending>
  refusals: Record<string, Refusal>
  planDialog: { app: string; plan: Plan; choices: Choices; problem: Problem | null } | null
  /** Latest rollback plan from the agent, or null before the first request. */
  rollback: RollbackPlan | null
  log: Log | null
  /** Id of the operation whose log the user closed. The page does not reopen this log by itself. */
  logClosed: string | null
  liveRegions: LiveRegions
}

export interface Refusal {
  action: Verb
  problem: Problem
  /** True if a heartbeat has arrived since the refusal. */
  hasAged?: boolean
}

export interface Announcement {
  app: string
  text: string
}

/** Texts of the ARIA live regions. `urgent` has an entry for each app whose last event is a failure. */
export interface LiveRegions {
  polite: Announcement
  urgent: Announcement[]
}

/** Input of the reducer: an event of the agent, a response, or an action of the user. */
export type Message =
  | { type: 'snapshot'; id: string; apps: AppStatus[]; receivedAt: number }
  | { type: 'app'; id: string; event: AppEvent; receivedAt: number; fresh: boolean }
  | { type: 'reset'; reason: string }
  | { type: 'refresh' }
  | { type: 'heartbeat'; at: string; receivedAt: number }
  | { type: 'stale'; since: string }
  | { type: 'readiness'; causes: ReadinessCause[] }
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

/** Functions that the views call after an action of the user. */
export interface Actions {
  /** Requests an operation of an app. The card of the app shows a refusal. */
  request(app: string, action: Verb): void
  /** Returns the consequences of a rollback, or null after an error, which the card of `app` shows. */
  planRollback(app: string): Promise<RollbackPlan | null>
  /** Requests a rollback of the whole machine. If the request fails, the card of `app` shows the error. */
  rollback(app: string, plan: RollbackPlan): void
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
