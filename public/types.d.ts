// Types of the page, for tsc only: the browser never loads this file. The wire types mirror src/domain.

import type { Status } from '../src/domain/status.ts'

export type { Status }

export type Verb = 'install' | 'retry' | 'cancel' | 'uninstall' | 'purge' | 'rollback'

export interface Cause {
  class: string
  phase?: Status
  message: string
  hint?: string
  exit_code?: number
  unit?: string
  log?: string[]
}

export interface Control {
  allowed: boolean
  reason: string | null
  code: string | null
}

/** What the stream says about an app at every change (the columns of bloud.apps). */
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
  /** Seconds the present operation has spent in each status it has left. */
  spent: Partial<Record<Status, number>>
  /** How long this phase usually takes; null below five samples. */
  usual?: { p50_seconds: number; p90_seconds: number; samples: number } | null
  queue_position?: number | null
  required_by?: string[]
  /** What it speaks on its port; only `http` can be opened in a browser. */
  protocol?: 'http' | 'tcp' | undefined
  controls?: Partial<Record<Verb, Control>>
}

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

/** An app as the page holds it. */
export type App = AppStatus & {
  /** Its status is newer than its controls, a status result is on its way. */
  stale: boolean
  /** The last event that is contained in it. */
  seq: number
}

/** A row of bloud.history. */
export interface HistoryRow {
  seq: number | string
  at: string
  app: string
  from_status: Status | null
  to_status: Status | null
  /** How long it stayed in to_status; null for the present one. */
  duration_seconds: number | null
  operation_id: number | string | null
  actor: string
  origin: string
  class: string | null
  message: string | null
}

/** Which apps can fill a slot of an app, and which would. */
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

/** What an install would do. */
export interface Plan {
  app: string
  /** In order; the app itself is the last. */
  installs: string[]
  choices: PlanChoice[]
  blockers: { sqlstate: string; message: string; detail: string | null; hint: string | null }[]
}

/** What a rollback would do. */
export interface RollbackPlan {
  from: string | null
  to: string | null
  turns_off: string[]
  turns_on: string[]
  blockers: Plan['blockers']
}

/** By `<app>.<slot>`. */
export type Choices = Record<string, string[]>

/** Where the page is: everything, or one app, or one operation of it. */
export interface Route {
  app: string | null
  operationId: string | null
}

export interface Pending {
  action: Verb
  /** Cursor at the click: only what comes later can be the answer. */
  seq: number
  operationId: string | null
}

export interface Log {
  app: string
  operationId: string
  /** Opened by the page for a running rebuild; then it also goes away by itself. */
  auto: boolean
  lines: LogLine[]
  dropped: number
  ended: boolean
}

/** `stale`: the line is open, but the agent itself gets no news from its database. `polling`: no stream gets through
 *  (or others need the connection), so the page asks every few seconds. */
export type Connection = 'connecting' | 'live' | 'polling' | 'stale' | 'reconnecting'

export interface State {
  connection: Connection
  /** Since when there has been no news, by the clock of the server. */
  staleSince: string | null
  loaded: boolean
  epoch: string | null
  seq: number
  /** A status result that is newer than the stream. */
  ahead: Extract<Message, { type: 'status' }> | null
  /** Milliseconds this machine's clock is ahead of the server's. */
  skew: number
  route: Route
  /** The name this machine was reached by; where its apps are, too. */
  hostname: string
  apps: Record<string, App>
  /** Of the apps that were looked at; newest first. */
  histories: Record<string, HistoryRow[]>
  catalog: CatalogEntry[] | null
  catalogProblem: Problem | null
  pending: Record<string, Pending>
  refusals: Record<string, { action: Verb; problem: Problem }>
  /** What is asked before an install. `choices`: what was answered so far. */
  asking: { app: string; plan: Plan; choices: Choices; problem: Problem | null } | null
  /** What a rollback of the machine would do, as last heard; null: not asked, as no app is unhealthy. */
  rollback: RollbackPlan | null
  log: Log | null
  /** Operation whose log was closed by hand: it does not open by itself again. */
  logClosed: string | null
  announcement: Announcement
}

/** What one app has to say to somebody who listens. */
export interface Said {
  app: string
  text: string
}

/** `urgent`: of each app that failed and has not moved since. */
export interface Announcement {
  polite: Said
  urgent: Said[]
}

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
  | { type: 'go'; route: Route }
  | { type: 'plan-open'; app: string; plan: Plan }
  | { type: 'plan-choose'; slot: string; apps: string[] }
  | { type: 'plan'; app: string; choices: Choices; plan: Plan | null; problem: Problem | null }
  | { type: 'plan-close' }
  | { type: 'rollback-plan'; plan: RollbackPlan }
  | { type: 'pressed'; app: string; action: Verb }
  | { type: 'accepted'; app: string; action: Verb; operation: Operation }
  | { type: 'refused'; app: string; action: Verb; problem: Problem }
  | { type: 'dismiss'; app: string }
  | { type: 'log-open'; app: string }
  | { type: 'log-close' }
  | { type: 'log-lines'; operationId: string; lines: LogLine[] }
  | { type: 'log-end'; operationId: string }

/** What the views may do. */
export interface Actions {
  act(app: string, action: Verb): void
  /** What it would do now; null when that could not be found out. `app`: where a refusal is shown. */
  planRollback(app: string): Promise<RollbackPlan | null>
  /** `app`: where it was pressed, and where a refusal is shown. */
  rollback(app: string, plan: RollbackPlan): void
  /** Installs what is asked about, with the choices made. */
  confirmPlan(): void
  choose(slot: string, apps: string[]): void
  closePlan(): void
  dismiss(app: string): void
  openLog(app: string): void
  closeLog(): void
  loadHistory(app: string): void
  reloadCatalog(): void
  go(path: string): void
}
