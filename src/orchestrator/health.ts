import {
  moveDeadlines,
  type ProbedApp,
  probedApps,
  reportHealth,
  reportRestarts,
  sweep,
} from '../db/health.ts'
import type { Cause } from '../domain/app.ts'
import type { UnitState, WantedApp } from '../host/index.ts'
import { createClockWatch } from './clockwatch.ts'
import { wantedApp } from './configuration.ts'
import type { Context } from './context.ts'
import { findProblem, type HealthProblem } from './healthproblem.ts'
import { CAUSE_LOG_LINES } from './outcome.ts'
import { LAST_PAUSE_MS, newProbeState, type ProbeState, statusRead } from './probestate.ts'
import type { Wakeup } from './wakeup.ts'

/**
 * Number of consecutive failed probes after which a running app is unhealthy. More than one is required,
 * because a healthy app can have a single slow response.
 */
const FAILURES_TO_ERROR = 3
/**
 * Upper limit of the interval in ms between two probes of an app whose last probe failed. A short interval
 * detects soon that the app is healthy again.
 */
const FAILING_INTERVAL_MS = 10_000
/**
 * If the process of a starting app exits after each start, the app counts as failed after this many restarts.
 */
const RESTARTS_TO_GIVE_UP = 2
/** Pause in ms before the restarts of a running app are read again if they could not be recorded. */
const RESTART_RETRY_MS = 1_000
/**
 * Interval in ms at which the apps and the clock of the database are read even without a notification. It
 * also limits the time between two heartbeats for systemd's watchdog.
 */
const READ_EVERY_MS = 15_000
/** Pause in ms before the next sweep if a deadline has passed and the app was locked. */
const SWEEP_RETRY_MS = 500

const endedMessage = (name: string, exitCode: number | null): string =>
  exitCode === null ? `${name} is not running` : `${name} ended with exit code ${exitCode}`

export interface Health {
  /**
   * Starts the probes that are due, and ends operations whose time limit has passed. Returns the ms until the
   * next call is due.
   */
  tick(): Promise<number>
  /** Called when an app may have changed in the database. */
  appsChanged(): void
  /** Called when the host has started, restarted or stopped an app. */
  unitsChanged(): void
}

/**
 * Creates the health checker.
 * @param wakeup notified when the next call of `tick` is due earlier than it has returned
 */
export function createHealth(context: Context, wakeup: Wakeup): Health {
  const { pool, host, attempt, log, signal } = context
  const probes = new Map<string, ProbeState>()
  const clock = createClockWatch()
  const began = performance.now()
  let apps: readonly ProbedApp[] = []
  let readAt = Number.NEGATIVE_INFINITY
  let sweepAt = Number.POSITIVE_INFINITY
  let isOutdated = true

  const isOverdue = ({ seconds_left: left }: ProbedApp): boolean =>
    left !== null && performance.now() >= readAt + left * 1000

  /** Returns false if another transaction has locked the app, so that the app must be probed again. */
  async function report(app: ProbedApp, cause: Cause | null): Promise<boolean> {
    const status = await reportHealth(pool, attempt, app.name, cause === null, cause)
    if (status === app.status) return false
    log.info({ app: app.name, from: app.status, to: status, why: cause?.message }, 'health')
    return true
  }

  async function failureOf(app: ProbedApp, wanted: WantedApp, problem: HealthProblem): Promise<Cause> {
    const unit = await host.unitState(app.name)
    const lines = await host.appLog(app.name, CAUSE_LOG_LINES)
    const name = wanted.catalog.displayName
    const ended = !problem.isCertain && (unit.state === 'backoff' || unit.state === 'stopped')
    return {
      class: isOverdue(app) && !ended ? 'timeout' : 'health',
      phase: app.status,
      message: ended ? endedMessage(name, unit.exitCode) : problem.message(name),
      hint: problem.hint,
      unit: app.name,
      ...(ended && unit.exitCode !== null ? { exit_code: unit.exitCode } : {}),
      ...(lines.length === 0 ? {} : { log: lines }),
    }
  }

  /**
   * True if the start of an app has failed: its time limit has passed, or its process exits after each start.
   */
  async function hasFailedToStart(app: ProbedApp): Promise<boolean> {
    if (isOverdue(app)) return true
    const unit = await host.unitState(app.name)
    return unit.state === 'backoff' && unit.restarts >= RESTARTS_TO_GIVE_UP
  }

  /**
   * True if a running app may still be starting: it was started less than its time limit ago, and has not
   * been healthy since. If the host has no time of the start, the start of the orchestrator counts.
   */
  function isStarting(app: ProbedApp, wanted: WantedApp, unit: UnitState, state: ProbeState): boolean {
    if (app.status !== 'running') return false
    if (unit.state === 'backoff' && unit.restarts >= RESTARTS_TO_GIVE_UP) return false
    const startedMsAgo = unit.startedMsAgo ?? performance.now() - began
    // Seconds below 0 are of an app that became running while the clock of the database was ahead.
    const sinceRead = performance.now() - readAt
    const runningMs =
      app.status_seconds < 0 ? Number.POSITIVE_INFINITY : app.status_seconds * 1000 + sinceRead
    const healthyMsAgo = Math.min(performance.now() - state.healthyAt, runningMs)
    return startedMsAgo < Math.min(healthyMsAgo, wanted.catalog.healthCheck.timeout * 1000)
  }

  /** Records the restarts of a running app that are not recorded yet. */
  async function recordRestarts(app: ProbedApp, state: ProbeState): Promise<void> {
    state.restartCheckAt = Number.POSITIVE_INFINITY
    const { state: unitState, series, restarts, exitCode } = await host.unitState(app.name)
    const restart = `${series}/${restarts}`
    if (unitState !== 'running' || series === null || restarts === 0 || restart === state.recordedRestart)
      return
    state.restartCheckAt = performance.now() + RESTART_RETRY_MS
    const lines = await host.appLog(app.name, CAUSE_LOG_LINES)
    if (!(await reportRestarts(pool, attempt, app.name, { series, restarts, exitCode }, lines))) return
    state.recordedRestart = restart
    state.restartCheckAt = Number.POSITIVE_INFINITY
  }

  async function check(app: ProbedApp, state: ProbeState): Promise<void> {
    const wanted = wantedApp(app)
    const unit = await host.unitState(app.name)
    const problem = await findProblem(host, wanted, unit)
    state.failing = problem !== null
    if (problem === null) [state.failures, state.healthyAt] = [0, performance.now()]
    else if (!isStarting(app, wanted, unit, state)) state.failures++
    log.debug({ app: app.name, problem: problem?.text ?? null, failures: state.failures }, 'health probe')
    if (signal.aborted) return
    const isCounted = problem?.isCertain || state.failures >= FAILURES_TO_ERROR
    state.verified ||= problem === null || app.status === 'error' || isCounted
    if (problem === null) {
      if (app.status !== 'running') state.verified = await report(app, null)
    } else if (app.status === 'starting' ? problem.isCertain || (await hasFailedToStart(app)) : isCounted) {
      if (app.status !== 'error') state.verified = await report(app, await failureOf(app, wanted, problem))
    }
  }

  /** Calls `work` for an app that no other work is done for. An error is only logged. */
  async function workOn(app: ProbedApp, state: ProbeState, what: string, work: typeof check): Promise<void> {
    state.busy = true
    try {
      await work(app, state)
    } catch (error) {
      log.warn({ app: app.name, err: error }, what)
    } finally {
      state.busy = false
      wakeup.notify()
    }
  }

  async function checkAndPlanNext(app: ProbedApp, state: ProbeState): Promise<void> {
    try {
      await check(app, state)
    } finally {
      const interval = wantedApp(app).catalog.healthCheck.interval * 1000
      const pause = state.failing ? Math.min(interval, FAILING_INTERVAL_MS) : interval
      const isAwaited = app.status === 'starting' && state.failing
      const soon = isAwaited ? state.pauseMs : state.verified ? pause : LAST_PAUSE_MS
      state.nextProbeAt = performance.now() + Math.min(soon, pause)
      state.pauseMs = Math.min(state.pauseMs * 2, LAST_PAUSE_MS)
      // A host that does not report restarts is asked with each probe.
      if (app.status === 'running') state.restartCheckAt = Math.min(state.restartCheckAt, performance.now())
    }
  }

  /** Reads the apps again. Returns false if that must be repeated, because the deadlines were moved. */
  async function read(): Promise<boolean> {
    const sentAt = performance.now()
    const { apps: found, clockMs, sweepDue, sweepMs } = await probedApps(pool)
    const reading = { clockMs, sentAt }
    const jumpMs = clock.jumpMs(reading)
    if (jumpMs > 0) await moveDeadlines(pool, attempt, jumpMs)
    clock.keep(reading)
    if (jumpMs > 0) {
      log.warn({ jumpMs }, 'the database clock was set forward, and deadlines with it')
      return false
    }
    apps = found
    readAt = sentAt
    sweepAt = sweepDue ? 0 : sentAt + (sweepMs ?? Number.POSITIVE_INFINITY)
    for (const name of probes.keys()) if (!apps.some((app) => app.name === name)) probes.delete(name)
    for (const app of apps) {
      const state = probes.get(app.name) ?? newProbeState(app.status)
      statusRead(state, app.status)
      probes.set(app.name, state)
    }
    return true
  }

  /** Reads the apps again if they may have changed. A change that comes during the read is read again. */
  async function readIfOutdated(): Promise<void> {
    if (!isOutdated && performance.now() - readAt < READ_EVERY_MS) return
    isOutdated = false
    let isRead = false
    try {
      isRead = await read()
    } finally {
      isOutdated ||= !isRead
    }
  }

  /** Starts the work that is due for an app. Returns the time at which more of it will be due. */
  function startDue(app: ProbedApp, state: ProbeState): number {
    if (state.busy) return Number.POSITIVE_INFINITY
    const now = performance.now()
    if (app.status === 'running' && state.restartCheckAt <= now)
      void workOn(app, state, 'restarts could not be recorded', recordRestarts)
    else if (state.nextProbeAt <= now) void workOn(app, state, 'health check failed to run', checkAndPlanNext)
    else return Math.min(state.nextProbeAt, app.status === 'running' ? state.restartCheckAt : Infinity)
    return Number.POSITIVE_INFINITY
  }

  return {
    async tick() {
      await readIfOutdated()
      if (isOutdated) return 0
      const due = apps.map((app) => startDue(app, probes.get(app.name) as ProbeState))
      if (performance.now() >= sweepAt) {
        const swept = await sweep(pool, attempt, clock.latestMs())
        // An app that another transaction has locked is swept later.
        isOutdated ||= swept > 0
        sweepAt = performance.now() + SWEEP_RETRY_MS
      }
      if (isOutdated) return 0
      return Math.max(0, Math.min(...due, sweepAt, readAt + READ_EVERY_MS) - performance.now())
    },
    appsChanged() {
      isOutdated = true
      wakeup.notify()
    },
    unitsChanged() {
      for (const { name, status } of apps) {
        const state = probes.get(name)
        if (state) state.restartCheckAt = 0
        // A running app is not probed, because three failures in a row, also within a second, are an error.
        if (state && (status === 'starting' || status === 'error')) state.nextProbeAt = 0
      }
      wakeup.notify()
    },
  }
}
