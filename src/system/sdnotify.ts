/**
 * Reports the agent's state to systemd (`Type=notify`) with the program `systemd-notify`, because Node has no
 * Unix datagram sockets. Does nothing if systemd has not started the agent.
 */
import type { Logger } from '../log.ts'
import { run } from './childprocess.ts'

const SEND_LIMIT_MS = 5_000
/**
 * Number of heartbeats in each interval of systemd's watchdog. With several heartbeats, a single late
 * heartbeat does not cause a restart of the agent.
 */
const HEARTBEATS_PER_INTERVAL = 3
const STATUS_LENGTH = 200

export interface SystemdNotifier {
  ready(): void
  /** Sets the status line that `systemctl status` shows. */
  status(text: string): void
  /**
   * Sends the heartbeat for systemd's watchdog. May be called at any rate, because a heartbeat is sent only
   * when it is due.
   */
  alive(): void
  stopping(): void
  flush(): Promise<void>
}

export interface NotifierOptions {
  /** True if systemd started the agent and expects its reports (`Type=notify`). */
  enabled: boolean
  /**
   * Time in ms without a heartbeat after which systemd restarts the agent. Undefined if systemd's watchdog is
   * off.
   */
  watchdogMs: number | undefined
  log: Pick<Logger, 'warn'>
  /** Program that sends the reports; `systemd-notify` by default. */
  command?: string
}

export function createSystemdNotifier(options: NotifierOptions): SystemdNotifier {
  const { enabled, watchdogMs, log, command = 'systemd-notify' } = options
  /** Reports that have not been sent. A newer report of the same kind replaces the older report. */
  let pending = new Map<string, string>()
  let sending: Promise<void> | undefined
  let isReady = false
  let lastStatus = ''
  let lastHeartbeat = Number.NEGATIVE_INFINITY
  let hasWarned = false

  function report(kind: string, value: string): void {
    if (!enabled) return
    pending.set(kind, value)
    sending ??= send().finally(() => {
      sending = undefined
    })
  }

  /** Sends the pending reports one after the other, so that the reports arrive in order. */
  async function send(): Promise<void> {
    while (pending.size > 0) {
      const assignments = [...pending].map(([kind, value]) => `${kind}=${value}`)
      pending = new Map()
      await sendAssignments(assignments).catch(warnOnce)
    }
  }

  async function sendAssignments(assignments: string[]): Promise<void> {
    const { code, output } = await run(command, assignments, { limitMs: SEND_LIMIT_MS })
    if (code !== 0) throw new Error(output || `exit code ${code}`)
  }

  function warnOnce(error: Error): void {
    if (!hasWarned) log.warn({ err: error }, `${command} does not work: systemd receives no reports`)
    hasWarned = true
  }

  return {
    ready() {
      if (!isReady) report('READY', '1')
      isReady = true
    },
    status(text) {
      const line = text.replace(/\s+/g, ' ').slice(0, STATUS_LENGTH)
      if (line !== lastStatus) report('STATUS', line)
      lastStatus = line
    },
    alive() {
      if (watchdogMs === undefined) return
      const now = performance.now()
      if (now - lastHeartbeat < watchdogMs / HEARTBEATS_PER_INTERVAL) return
      lastHeartbeat = now
      report('WATCHDOG', '1')
    },
    stopping: () => report('STOPPING', '1'),
    async flush() {
      await sending
    },
  }
}
