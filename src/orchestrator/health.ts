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
/** Interval in ms between two reads of the number of restarts of a running app. */
const RESTART_INTERVAL_MS = 5_000
/** Interval in ms between two reads of the list of apps, and between two probes of a starting app. */
export const HEALTH_TICK_MS = 500

interface ProbeState {
  nextProbeAt: number
  /** Number of consecutive failed probes that count, because the app is not starting. */
  failures: number
  /** True if the last probe has failed, whether it counts or not. */
  failing: boolean
  /** Time of the last healthy probe as in `performance.now()`. */
  healthyAt: number
  /** Time of the next read of the app's restarts, and the last restart that was recorded. */
  nextRestartCheckAt: number
  recordedRestart: string
  busy: boolean
  /**
   * True if probes of this orchestrator have confirmed or replaced the stored status, which may be outdated.
   * Until then, the app is probed at every tick.
   */
  verified: boolean
}

const endedMessage = (name: string, exitCode: number | null): string =>
  exitCode === null ? `${name} is not running` : `${name} ended with exit code ${exitCode}`

const newProbeState = (): ProbeState => ({
  nextProbeAt: 0,
  failures: 0,
  failing: false,
  healthyAt: Number.NEGATIVE_INFINITY,
  nextRestartCheckAt: 0,
  recordedRestart: '',
  busy: false,
  verified: false,
})

/** Creates the health checker. Each call of `tick` starts the probes that are due. */
export function createHealth(context: Context): { tick(): Promise<void> } {
  const { pool, host, attempt, log, signal } = context
  const probes = new Map<string, ProbeState>()
  const clock = createClockWatch()
  const began = performance.now()

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
      class: app.overdue && !ended ? 'timeout' : 'health',
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
    if (app.overdue) return true
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
    const runningMs = app.status_seconds < 0 ? Number.POSITIVE_INFINITY : app.status_seconds * 1000
    const healthyMsAgo = Math.min(performance.now() - state.healthyAt, runningMs)
    return startedMsAgo < Math.min(healthyMsAgo, wanted.catalog.healthCheck.timeout * 1000)
  }

  /** Records the restarts of a running app that are not recorded yet. */
  async function recordRestarts(app: ProbedApp, state: ProbeState): Promise<void> {
    state.nextRestartCheckAt = performance.now() + RESTART_INTERVAL_MS
    const { state: unitState, series, restarts, exitCode } = await host.unitState(app.name)
    const restart = `${series}/${restarts}`
    if (unitState !== 'running' || series === null || restarts === 0 || restart === state.recordedRestart)
      return
    const lines = await host.appLog(app.name, CAUSE_LOG_LINES)
    if (await reportRestarts(pool, attempt, app.name, { series, restarts, exitCode }, lines))
      state.recordedRestart = restart
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

  async function recordSafely(app: ProbedApp, state: ProbeState): Promise<void> {
    state.busy = true
    try {
      await recordRestarts(app, state)
    } catch (error) {
      log.warn({ app: app.name, err: error }, 'restarts could not be recorded')
    } finally {
      state.busy = false
    }
  }

  async function checkSafely(app: ProbedApp, state: ProbeState): Promise<void> {
    state.busy = true
    try {
      await check(app, state)
    } catch (error) {
      log.warn({ app: app.name, err: error }, 'health check failed to run')
    } finally {
      state.busy = false
      const interval = wantedApp(app).catalog.healthCheck.interval * 1000
      const pause = state.failing ? Math.min(interval, FAILING_INTERVAL_MS) : interval
      state.nextProbeAt = performance.now() + pause
    }
  }

  return {
    async tick() {
      const sentAt = performance.now()
      const { apps, clockMs } = await probedApps(pool)
      const reading = { clockMs, sentAt }
      const jumpMs = clock.jumpMs(reading)
      if (jumpMs > 0) await moveDeadlines(pool, attempt, jumpMs)
      clock.keep(reading)
      // The apps were read with the deadlines before the move, so they are read again in the next tick.
      if (jumpMs > 0) return log.warn({ jumpMs }, 'the database clock was set forward, and deadlines with it')
      for (const name of probes.keys()) if (!apps.some((app) => app.name === name)) probes.delete(name)
      for (const app of apps) {
        const state = probes.get(app.name) ?? newProbeState()
        probes.set(app.name, state)
        const due = app.status === 'starting' || !state.verified || performance.now() >= state.nextProbeAt
        if (state.busy) continue
        if (app.status === 'running' && performance.now() >= state.nextRestartCheckAt)
          void recordSafely(app, state)
        else if (due) void checkSafely(app, state)
      }
      await sweep(pool, attempt, clock.latestMs())
    },
  }
}
