/** HTTP route of the agent's metrics, in the text format of Prometheus. */
import type { LastCheck } from '../../db/invariant.ts'
import type { BlockingSession, DatabaseReadiness } from '../../domain/readiness.ts'
import type { LogStreams } from '../../relay/logstream.ts'
import type { Relay } from '../../relay/relay.ts'
import { withTimeout } from '../../system/timeout.ts'
import { text } from '../reply.ts'
import type { Route } from '../router.ts'
import { readinessCauses } from './readiness.ts'

/** Time limit for reading the result of the last check of the invariants, in ms. */
const DATABASE_LIMIT_MS = 3000

export interface MetricsSource {
  /** Returns the result of the last check of the invariants, which the orchestrator has stored. */
  lastCheck(): Promise<Pick<LastCheck, 'checked' | 'violations'>>
  readiness(): Promise<DatabaseReadiness>
  expectedSchema: string
}

type Metric = [name: string, type: 'gauge' | 'counter', help: string, value: number]

function relayMetrics(relay: Relay, logs: LogStreams): Metric[] {
  const stats = relay.stats()
  return [
    ['bloud_stream_clients', 'gauge', 'Open event streams.', stats.clients],
    [
      'bloud_stream_waiting',
      'gauge',
      'Event streams that wait for their first data from the database.',
      stats.waiting,
    ],
    ['bloud_stream_connects_total', 'counter', 'Event streams opened.', stats.connects],
    [
      'bloud_stream_stuck_total',
      'counter',
      'Event streams closed because the client read nothing.',
      stats.stuck,
    ],
    ['bloud_stream_resets_total', 'counter', 'Times all event streams were reset.', stats.resets],
    ['bloud_stream_bytes_total', 'counter', 'Bytes written to event streams.', stats.bytesSent],
    ['bloud_stream_writes_total', 'counter', 'Writes to event streams.', stats.writes],
    ['bloud_log_readers', 'gauge', 'Open log streams.', logs.size],
    ['bloud_events_read_total', 'counter', 'Events read from the database.', stats.eventsRead],
    ['bloud_event_seq', 'gauge', 'Number of the newest event read.', stats.head],
    ['bloud_ring_events', 'gauge', 'Events in the ring buffer.', stats.ringFrames],
    ['bloud_ring_bytes', 'gauge', 'Bytes in the ring buffer.', stats.ringBytes],
    [
      'bloud_notifications_total',
      'counter',
      'Notifications received from the database.',
      stats.notifications,
    ],
    [
      'bloud_last_notification_seconds',
      'gauge',
      'Unix time of the newest notification; 0 before the first.',
      (stats.lastNotificationAt ?? 0) / 1000,
    ],
    ['bloud_listening', 'gauge', '1 if the LISTEN sessions are connected, else 0.', Number(stats.listening)],
    ['bloud_stale', 'gauge', '1 if the relay can not read from the database, else 0.', Number(stats.stale)],
  ]
}

function processMetrics(): Metric[] {
  const { rss, heapUsed } = process.memoryUsage()
  return [
    ['process_resident_memory_bytes', 'gauge', 'Resident memory of the process.', rss],
    ['nodejs_heap_used_bytes', 'gauge', 'Used memory of the JavaScript heap.', heapUsed],
    [
      'process_uptime_seconds',
      'gauge',
      'Seconds since the start of the process.',
      Math.round(process.uptime()),
    ],
  ]
}

const toText = ([name, type, help, value]: Metric) =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`

/** Returns a label of a metric. Backslashes, quotes and line breaks are escaped. */
const label = (name: string, value: unknown) =>
  `${name}="${String(value ?? '')
    .replace(/[\\"]/g, '\\$&')
    .replaceAll('\n', '\\n')}"`

/** Returns one metric with a sample for each item, or an empty text without items. */
function labelled(name: string, help: string, samples: readonly string[]): string {
  if (samples.length === 0) return ''
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${samples.map((each) => `${name}${each}\n`).join('')}`
}

function blockingSample({ pid, role, application, waiting }: BlockingSession): string {
  return `{${label('pid', pid)},${label('role', role)},${label('application', application)}} ${waiting}`
}

export function metricsRoutes(source: MetricsSource, relay: Relay, logs: LogStreams): Route[] {
  /**
   * Returns the number of inconsistencies of the database, as found by the last check, and the time of the
   * check. If the database does not answer or was not checked yet, returns no metric, because the value 0
   * would mean that the database is consistent.
   */
  async function invariantMetrics(): Promise<Metric[]> {
    const last = await withTimeout(source.lastCheck(), DATABASE_LIMIT_MS).catch(() => undefined)
    if (!last || last.checked === null) return []
    return [
      [
        'bloud_invariant_violations',
        'gauge',
        'Violated invariants found by the last check; 0 is correct.',
        last.violations.length,
      ],
      [
        'bloud_invariants_checked_seconds',
        'gauge',
        'Unix time of the last check of the invariants.',
        last.checked,
      ],
    ]
  }

  async function readinessMetrics(): Promise<string> {
    const found = await source.readiness()
    const causes = readinessCauses(found, source.expectedSchema, relay)
    const names = [...new Set(causes.map(({ cause }) => cause))]
    return [
      toText(['bloud_ready', 'gauge', '1 if the agent is ready, else 0.', Number(causes.length === 0)]),
      labelled(
        'bloud_not_ready',
        'Reasons why the agent is not ready.',
        names.map((cause) => `{${label('cause', cause)}} 1`),
      ),
      labelled(
        'bloud_blocking_session',
        'Sessions that wait for a lock of this session for more than a second.',
        found.blocking.map(blockingSample),
      ),
    ].join('')
  }

  return [
    {
      path: '/metrics',
      async GET() {
        const metrics = [...relayMetrics(relay, logs), ...processMetrics(), ...(await invariantMetrics())]
        const body = metrics.map(toText).join('') + (await readinessMetrics())
        return text(body, 'text/plain; version=0.0.4; charset=utf-8')
      },
    },
  ]
}
