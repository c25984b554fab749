import { initialState, reduce } from '../../public/state/store.js'
import type { AppEvent, AppStatus, Message, State, Status } from '../../public/types.js'

export function appStatus(name: string, status: Status, more: Partial<AppStatus> = {}): AppStatus {
  return {
    id: 1,
    name,
    display_name: name.toUpperCase(),
    version: '1.0.0',
    status,
    port: 8000,
    is_system: false,
    installed_at: null,
    updated_at: AT,
    status_since: AT,
    operation_id: 1,
    operation_kind: 'install',
    operation_state: 'active',
    cause: null,
    deadline: null,
    queue_position: null,
    required_by: [],
    protocol: 'http',
    step_seconds: {},
    controls: { cancel: { allowed: true, reason: null, code: null } },
    ...more,
  }
}

export const AT = '2026-01-01T12:00:00.000Z'
export const NOON = Date.parse(AT)

export function appEvent(
  seq: number,
  app: AppStatus,
  to: Status | null = app.status,
  from: Status | null = null,
): AppEvent {
  const { id, name, display_name, version, status, port, is_system, installed_at, updated_at } = app
  const row = { id, name, display_name, version, status, port, is_system, installed_at, updated_at }
  const { operation_id, cause, status_since: at } = app
  return { ...row, seq, app: name, from_status: from, to_status: to, at, operation_id, cause }
}

export const snapshot = (seq: number, apps: AppStatus[], epoch = 'e'): Message => ({
  type: 'snapshot',
  id: `${epoch}.${seq}`,
  apps,
  receivedAt: NOON,
})

export const status = (seq: number, apps: AppStatus[], epoch = 'e'): Message => ({
  ...(snapshot(seq, apps, epoch) as Extract<Message, { type: 'snapshot' }>),
  type: 'status',
})

export const event = (seq: number, app: AppStatus, to?: Status | null, epoch = 'e'): Message => ({
  type: 'app',
  id: `${epoch}.${seq}`,
  event: appEvent(seq, app, to),
  receivedAt: NOON,
  fresh: true,
})

export const fold = (messages: Message[], from: State = initialState): State => messages.reduce(reduce, from)
