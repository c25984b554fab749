/**
 * What the agent tells systemd (`Type=notify`): that it is ready, what it is doing, that it is alive. Without systemd,
 * all of this does nothing. Node has no sockets of the kind systemd listens on, so its own program does the sending.
 */
import type { Logger } from '../log.ts'
import { run } from './childprocess.ts'

const SEND_LIMIT_MS = 5_000
/** Signs of life in one interval of the watchdog: one may come late. */
const BEATS_PER_INTERVAL = 3
const STATUS_LENGTH = 200

export interface SystemdNotifier {
  /** It does its work from now on. Only the first call counts. */
  ready(): void
  /** One line, for `systemctl status`. */
  status(text: string): void
  /** To be called from the main loop, as often as that goes round: only some of the calls are sent. */
  alive(): void
  stopping(): void
  /** When everything has been sent. */
  flush(): Promise<void>
}

export interface NotifierOptions {
  /** Is there a systemd that listens? */
  enabled: boolean
  /** Milliseconds without a sign of life after which systemd starts us again; undefined: it does not watch. */
  watchdogMs: number | undefined
  log: Pick<Logger, 'warn'>
  /** The program that sends. */
  command?: string
}

export function createSystemdNotifier(options: NotifierOptions): SystemdNotifier {
  const { enabled, watchdogMs, log, command = 'systemd-notify' } = options
  /** What is still to be said, the newest of each kind. */
  let pending = new Map<string, string>()
  let sending: Promise<void> | undefined
  let isReady = false
  let lastStatus = ''
  let lastBeat = Number.NEGATIVE_INFINITY
  let saidProblem = false

  function say(kind: string, value: string): void {
    if (!enabled) return
    pending.set(kind, value)
    sending ??= send().finally(() => {
      sending = undefined
    })
  }

  /** One at a time, so that nothing is overtaken. */
  async function send(): Promise<void> {
    while (pending.size > 0) {
      const words = [...pending].map(([kind, value]) => `${kind}=${value}`)
      pending = new Map()
      await sendWords(words).catch(complain)
    }
  }

  async function sendWords(words: string[]): Promise<void> {
    const { code, output } = await run(command, words, { limitMs: SEND_LIMIT_MS })
    if (code !== 0) throw new Error(output || `exit code ${code}`)
  }

  function complain(error: Error): void {
    if (!saidProblem) log.warn({ err: error }, `${command} does not work: systemd learns nothing of us`)
    saidProblem = true
  }

  return {
    ready() {
      if (!isReady) say('READY', '1')
      isReady = true
    },
    status(text) {
      const line = text.replace(/\s+/g, ' ').slice(0, STATUS_LENGTH)
      if (line !== lastStatus) say('STATUS', line)
      lastStatus = line
    },
    alive() {
      if (watchdogMs === undefined) return
      const now = performance.now()
      if (now - lastBeat < watchdogMs / BEATS_PER_INTERVAL) return
      lastBeat = now
      say('WATCHDOG', '1')
    },
    stopping: () => say('STOPPING', '1'),
    async flush() {
      await sending
    },
  }
}
