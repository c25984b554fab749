/** States of the web page with invented data, for `npm run gallery`. */
import { initialState, reduce } from '../public/state/store.js'
import type { AppStatus, CatalogEntry, Cause, Message, Plan, State, Status } from '../public/types.js'

const AT = '2026-01-01T12:00:00.000Z'
const NOW = Date.parse(AT) + 95_000

const NAMES: Record<string, string> = {
  'node-red': 'Node-RED',
  miniflux: 'Miniflux',
  postgres: 'PostgreSQL',
  jellyfin: 'Jellyfin',
}

const allowed = { allowed: true, reason: null, code: null }
const refused = (reason: string) => ({ allowed: false, reason, code: 'busy' })

function controlsFor(status: Status): NonNullable<AppStatus['controls']> {
  const isWork = ['queued', 'configuring', 'building'].includes(status)
  const isSettled = ['running', 'error', 'failed', 'stopped'].includes(status)
  return {
    install: status === 'stopped' ? allowed : refused('Node-RED is already installed'),
    retry: status === 'failed' || status === 'error' ? allowed : refused('there is nothing to retry'),
    cancel: isWork ? allowed : refused('nothing is in progress'),
    uninstall: isSettled && status !== 'stopped' ? allowed : refused('an operation is in progress'),
    purge: isSettled ? allowed : refused('an operation is in progress'),
  }
}

function app(name: string, status: Status, more: Partial<AppStatus> = {}): AppStatus {
  return {
    id: name,
    name,
    display_name: NAMES[name] ?? name,
    version: '4.1.0',
    status,
    port: 1880,
    is_system: false,
    installed_at: status === 'running' ? AT : null,
    updated_at: AT,
    status_since: AT,
    operation_id: '7',
    operation_kind: status === 'stopping' ? 'uninstall' : 'install',
    operation_state: 'active',
    cause: null,
    deadline: null,
    queue_position: null,
    required_by: [],
    protocol: 'http',
    step_seconds: { queued: 1, configuring: 2 },
    usual: { p50_seconds: 40, p90_seconds: 90, samples: 6 },
    controls: controlsFor(status),
    ...more,
  }
}

const CATALOG: CatalogEntry[] = Object.entries(NAMES).map(([name, display_name]) => ({
  name,
  display_name,
  description: `${display_name}, described in one sentence.`,
  category: 'automation',
  version: '4.1.0',
  port: 1880,
  is_system: false,
  unavailable: name === 'jellyfin' ? 'It needs a container, and this host has none.' : null,
  status: null,
}))

const snapshot = (...apps: AppStatus[]): Message => ({ type: 'snapshot', id: 'e.1', apps, receivedAt: NOW })
const live: Message = { type: 'connection', state: 'live' }
const catalog: Message = { type: 'catalog', entries: CATALOG }
const go = (path: string | null, operationId: string | null = null): Message => ({
  type: 'navigate',
  route: { app: path, operationId },
})

const stateOf = (...messages: Message[]): State =>
  messages.reduce(reduce, { ...initialState, hostname: 'localhost' })
const withApps = (...apps: AppStatus[]): State => stateOf(live, catalog, snapshot(...apps))

const LOG: Message = {
  type: 'log-lines',
  operationId: '7',
  lines: ['evaluating configuration', '\u001b[32mfetching\u001b[0m node-red 4.1.0', 'added 310 packages'].map(
    (line, index) => ({ line_no: index + 1, at: AT, line }),
  ),
}

const cause = (kind: string, message: string, more: Partial<Cause> = {}): Cause => ({
  class: kind,
  phase: 'building',
  message,
  ...more,
})

const failed = (kind: string, message: string, more: Partial<Cause> = {}): State =>
  withApps(app('node-red', 'failed', { cause: cause(kind, message, more), operation_state: 'failed' }))

const PLAN: Plan = {
  app: 'miniflux',
  installs: ['postgres', 'miniflux'],
  choices: [
    {
      app: 'miniflux',
      slot: 'database',
      required: true,
      multi: false,
      installed: [],
      available: ['postgres', 'node-red'],
      recommended: 'postgres',
      chosen: null,
    },
  ],
  blockers: [],
}

const HISTORY: Message = {
  type: 'history',
  app: 'node-red',
  rows: (['queued', 'configuring', 'building', 'starting', 'running'] as Status[]).map(
    (status, index, all) => ({
      seq: index + 1,
      at: new Date(Date.parse(AT) + index * 4000).toISOString(),
      app: 'node-red',
      from_status: all[index - 1] ?? null,
      to_status: status,
      duration_seconds: 4,
      operation_id: '7',
      actor: 'bloud_operator',
      origin: index === 0 ? 'web' : 'agent',
      class: null,
      message: null,
    }),
  ),
}

const statuses: Status[] = ['queued', 'configuring', 'building', 'starting', 'running', 'stopping', 'stopped']

export const GALLERY: Record<string, State> = {
  loading: stateOf(),
  'no-apps': withApps(),
  ...Object.fromEntries(statuses.map((status) => [status, withApps(app('node-red', status))])),
  'building-with-log': stateOf(live, catalog, snapshot(app('node-red', 'building')), LOG),
  error: withApps(
    app('node-red', 'error', {
      cause: cause('health', 'No answer on port 1880 for 30 s.', { phase: 'running', hint: 'Retry.' }),
    }),
  ),
  'failed-build': failed('build', 'npm could not install node-red', {
    exit_code: 1,
    log: ['npm error ENOTFOUND'],
  }),
  'failed-timeout': failed('timeout', 'The rebuild took longer than 30 minutes.'),
  cancelled: failed('cancelled', 'Cancelled on request'),
  warnings: withApps(app('node-red', 'running', { warnings: ['Single sign-on could not be set up.'] })),
  queue: withApps(
    app('node-red', 'building'),
    app('miniflux', 'queued', { queue_position: 1, operation_id: '8' }),
    app('postgres', 'queued', { queue_position: 2, operation_id: '9' }),
  ),
  'plan-dialog': stateOf(live, catalog, snapshot(), { type: 'plan-open', app: 'miniflux', plan: PLAN }),
  refusal: stateOf(live, catalog, snapshot(app('node-red', 'running')), {
    type: 'refused',
    app: 'node-red',
    action: 'uninstall',
    problem: { title: 'node-red is required by miniflux', hint: 'Uninstall miniflux first.' },
  }),
  'catalog-failed': stateOf(live, snapshot(), {
    type: 'catalog-failed',
    problem: { title: 'The database does not answer', hint: 'Try again in a moment.' },
  }),
  'many-apps': withApps(...Array.from({ length: 60 }, (_, index) => app(`app-${index}`, 'running'))),
  stale: stateOf(live, catalog, snapshot(app('node-red', 'running')), { type: 'stale', since: AT }),
  'not-ready': stateOf(live, catalog, snapshot(app('node-red', 'running')), {
    type: 'readiness',
    causes: [
      {
        cause: 'locked',
        sentence: 'The session 4711 (role ann, application psql) blocks another session.',
        hint: 'End its transaction, or the session: select pg_terminate_backend(4711);',
        since: AT,
      },
    ],
  }),
  reconnecting: stateOf(live, catalog, snapshot(app('node-red', 'running')), {
    type: 'connection',
    state: 'reconnecting',
    since: AT,
  }),
  polling: stateOf(catalog, snapshot(app('node-red', 'running')), { type: 'connection', state: 'polling' }),
  'app-page': stateOf(live, catalog, snapshot(app('node-red', 'running')), HISTORY, go('node-red')),
  'app-page-not-installed': stateOf(live, catalog, snapshot(), go('miniflux')),
  'app-page-unknown': stateOf(live, catalog, snapshot(), go('no-such-app')),
}
