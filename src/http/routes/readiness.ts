/** For whoever watches the agent: alive, ready, and numbers. */
import type { LogStreams } from '../../relay/logstream.ts'
import type { Relay } from '../../relay/relay.ts'
import { withTimeout } from '../../system/timeout.ts'
import { json, text } from '../reply.ts'
import type { Answer, Route } from '../router.ts'

/** Milliseconds the database has to answer a watcher. */
const DATABASE_LIMIT_MS = 3000

export interface ReadinessSource {
  /** The last migration the database has seen. */
  schemaVersion(): Promise<string>
  /** The one this program was written for. */
  expectedSchema: string
  /** How many things do not hold that always must. */
  invariantViolations(): Promise<number>
}

type Metric = [name: string, type: 'gauge' | 'counter', help: string, value: number]

function metricsOf(relay: Relay, logs: LogStreams): Metric[] {
  const stats = relay.stats()
  const { rss, heapUsed } = process.memoryUsage()
  return [
    ['bloud_stream_clients', 'gauge', 'Open event streams.', stats.clients],
    ['bloud_stream_waiting', 'gauge', 'Streams that wait for the database to begin.', stats.waiting],
    ['bloud_stream_connects_total', 'counter', 'Event streams opened.', stats.connects],
    ['bloud_stream_stuck_total', 'counter', 'Streams closed because they took nothing.', stats.stuck],
    ['bloud_stream_resets_total', 'counter', 'Times all streams had to start anew.', stats.resets],
    ['bloud_stream_bytes_total', 'counter', 'Bytes written to event streams.', stats.bytesSent],
    ['bloud_stream_writes_total', 'counter', 'Writes to event streams.', stats.writes],
    ['bloud_log_readers', 'gauge', 'Logs being read.', logs.size],
    ['bloud_events_read_total', 'counter', 'Events read from the database.', stats.eventsRead],
    ['bloud_event_seq', 'gauge', 'Number of the newest event read.', stats.head],
    ['bloud_ring_events', 'gauge', 'Events kept in memory.', stats.ringFrames],
    ['bloud_ring_bytes', 'gauge', 'Bytes they take.', stats.ringBytes],
    ['bloud_doorbells_total', 'counter', 'Notifications received.', stats.notifications],
    [
      'bloud_last_doorbell_seconds',
      'gauge',
      'Time of the last one; 0 before.',
      (stats.lastNotificationAt ?? 0) / 1000,
    ],
    ['bloud_listening', 'gauge', 'Whether notifications can be received.', Number(stats.listening)],
    ['bloud_stale', 'gauge', 'Whether the database does not answer.', Number(stats.stale)],
    ['process_resident_memory_bytes', 'gauge', 'Memory of the process.', rss],
    ['nodejs_heap_used_bytes', 'gauge', 'Memory of its objects.', heapUsed],
    ['process_uptime_seconds', 'gauge', 'Since its start.', Math.round(process.uptime())],
  ]
}

const asText = ([name, type, help, value]: Metric) =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`

export function readinessRoutes(source: ReadinessSource, relay: Relay, logs: LogStreams): Route[] {
  async function readiness(): Promise<Answer> {
    const version = await withTimeout(source.schemaVersion(), DATABASE_LIMIT_MS).catch(() => undefined)
    const checks = {
      database: version === undefined ? 'does not answer' : 'ok',
      listen: relay.listening ? 'ok' : 'not connected',
      stream: relay.stale ? 'stale' : 'ok',
      schema:
        version === undefined || version === source.expectedSchema
          ? 'ok'
          : `expected ${source.expectedSchema}`,
    }
    const ready = Object.values(checks).every((check) => check === 'ok')
    return json({ ready, ...checks, schema_version: version ?? null }, ready ? 200 : 503)
  }

  /** Left out while the database does not answer: a watcher must not read that as "all is well". */
  async function violations(): Promise<Metric[]> {
    const count = await withTimeout(source.invariantViolations(), DATABASE_LIMIT_MS).catch(() => undefined)
    if (count === undefined) return []
    return [['bloud_invariant_violations', 'gauge', 'Rows of bloud.check_invariants(); 0 is good.', count]]
  }

  return [
    { path: '/healthz', GET: () => json({ alive: true }) },
    { path: '/readyz', GET: readiness },
    {
      path: '/metrics',
      async GET() {
        const metrics = [...metricsOf(relay, logs), ...(await violations())]
        return text(metrics.map(asText).join(''), 'text/plain; version=0.0.4; charset=utf-8')
      },
    },
  ]
}
