import { connect } from 'node:net'
import { type ProbedApp, probedApps, reportHealth, sweep } from '../db/rebuild.ts'
import type { Cause } from '../domain/app.ts'
import type { WantedApp } from '../host/index.ts'
import type { Context } from './context.ts'
import { CAUSE_LOG_LINES } from './outcome.ts'
import { wantedApp } from './rebuild.ts'

/** One probe may take this long; a slower answer counts as none. */
const PROBE_LIMIT_MS = 5_000
/** A running app is unhealthy after this many failed probes in a row, so that one slow answer is not an alarm. */
const FAILURES_TO_ERROR = 3
/** An app that ended this often right after its start won't come up by itself. */
const RESTARTS_TO_GIVE_UP = 2
/** How often the list of apps is looked at, and an app is asked of which somebody waits to hear. */
export const HEALTH_TICK_MS = 500

interface Watch {
  /** By performance.now(). */
  nextProbeAt: number
  failures: number
  busy: boolean
  /** What its status says was seen by this worker; what an earlier one saw may be long ago. */
  seen: boolean
}

/** Healthy: 200 to 399, 401, 403 (a login page is a sign of life). */
function isHealthy(status: number): boolean {
  return (status >= 200 && status < 400) || status === 401 || status === 403
}

/** Asks an app once: its health path, or whether it takes connections. Returns what is wrong, or null. */
export function probe(
  url: string,
  { kind, path }: WantedApp['catalog']['healthCheck'],
): Promise<string | null> {
  return kind === 'tcp' ? probeTcp(new URL(url)) : probeHttp(url, path)
}

function probeTcp({ hostname, port }: URL): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), timeout: PROBE_LIMIT_MS })
    const end = (problem: string | null) => {
      socket.destroy()
      resolve(problem)
    }
    socket.once('connect', () => end(null))
    socket.once('timeout', () => end(`port ${port} did not answer within ${PROBE_LIMIT_MS / 1000} s`))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => end(`port ${port} can't be reached (${code})`))
  })
}

async function probeHttp(url: string, path: string): Promise<string | null> {
  const address = new URL(path, url).href
  try {
    const response = await fetch(address, { redirect: 'manual', signal: AbortSignal.timeout(PROBE_LIMIT_MS) })
    await response.body?.cancel()
    return isHealthy(response.status) ? null : `${address} answered ${response.status}`
  } catch (error) {
    if ((error as Error).name === 'TimeoutError')
      return `${address} did not answer within ${PROBE_LIMIT_MS / 1000} s`
    const cause = (error as Error).cause as { code?: string } | undefined
    return `${address} can't be reached (${cause?.code ?? (error as Error).message})`
  }
}

/** Watches the health of every app that is on, each at its own interval. */
export function createHealth(context: Context): { tick(): Promise<void> } {
  const { pool, host, attempt, log, signal } = context
  const watches = new Map<string, Watch>()

  async function report(app: ProbedApp, cause: Cause | null): Promise<void> {
    const status = await reportHealth(pool, attempt, app.name, cause === null, cause)
    if (status !== app.status)
      log.info({ app: app.name, from: app.status, to: status, why: cause?.message }, 'health')
  }

  async function failureOf(app: ProbedApp, wanted: WantedApp, problem: string): Promise<Cause> {
    const unit = await host.unitState(app.name)
    const lines = await host.appLog(app.name, CAUSE_LOG_LINES)
    const ended = unit.state === 'backoff' || unit.state === 'stopped'
    return {
      class: app.overdue && !ended ? 'timeout' : 'health',
      phase: app.status,
      message: ended
        ? `${wanted.catalog.displayName} ended with exit code ${unit.exitCode ?? 'unknown'}`
        : `${wanted.catalog.displayName} is not healthy: ${problem}`,
      hint: 'Look at its last lines, then retry.',
      unit: app.name,
      ...(unit.exitCode === null ? {} : { exit_code: unit.exitCode }),
      ...(lines.length === 0 ? {} : { log: lines }),
    }
  }

  async function isHopeless(app: ProbedApp): Promise<boolean> {
    if (app.overdue) return true
    const unit = await host.unitState(app.name)
    return unit.state === 'backoff' && unit.restarts >= RESTARTS_TO_GIVE_UP
  }

  async function check(app: ProbedApp, watch: Watch): Promise<void> {
    const wanted = wantedApp(app)
    const unit = await host.unitState(app.name)
    const down = unit.state === 'backoff' || unit.state === 'stopped'
    const problem = down
      ? 'its process is not running'
      : await probe(host.url(wanted), wanted.catalog.healthCheck)
    watch.failures = problem === null ? 0 : watch.failures + 1
    if (signal.aborted) return
    watch.seen ||= problem === null || app.status === 'error' || watch.failures >= FAILURES_TO_ERROR
    if (problem === null) {
      if (app.status !== 'running') await report(app, null)
    } else if (app.status === 'starting' ? await isHopeless(app) : watch.failures >= FAILURES_TO_ERROR) {
      if (app.status !== 'error') await report(app, await failureOf(app, wanted, problem))
    }
  }

  async function checkSafely(app: ProbedApp, watch: Watch): Promise<void> {
    watch.busy = true
    try {
      await check(app, watch)
    } catch (error) {
      log.warn({ app: app.name, err: error }, 'health check could not be done')
    } finally {
      watch.busy = false
      const interval = wantedApp(app).catalog.healthCheck.interval * 1000
      watch.nextProbeAt = performance.now() + interval
    }
  }

  return {
    async tick() {
      const apps = await probedApps(pool)
      for (const name of watches.keys()) if (!apps.some((app) => app.name === name)) watches.delete(name)
      for (const app of apps) {
        const watch = watches.get(app.name) ?? { nextProbeAt: 0, failures: 0, busy: false, seen: false }
        watches.set(app.name, watch)
        const due = app.status === 'starting' || !watch.seen || performance.now() >= watch.nextProbeAt
        if (due && !watch.busy) void checkSafely(app, watch)
      }
      await sweep(pool, attempt)
    },
  }
}
