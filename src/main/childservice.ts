/**
 * Starts the relay and the orchestrator as child processes of `npm start`, and restarts a child that exits.
 */
import { join } from 'node:path'
import type { Logger } from '../log.ts'
import { type AgentChild, describeExit, startChild } from '../system/childprocess.ts'
import { withTimeout } from '../system/timeout.ts'
import type { ChildMessage } from './ipc.ts'

export interface ChildService {
  /** Starts the process, which loads its code and waits for the URL of the database. Optional. */
  preload(): void
  /**
   * Starts the child and waits for its message `ready`.
   * @throws ChildError if the child does not become ready.
   */
  start(): Promise<void>
  /**
   * Restarts the child with the URL that `databaseUrl` returns now, for example with a new port of the
   * database.
   */
  restart(): void
  stop(): Promise<void>
  kill(): void
}

export interface ChildServiceOptions {
  name: 'relay' | 'orchestrator'
  env: () => NodeJS.ProcessEnv
  databaseUrl: () => string
  log: Logger
}

/** Error of a child that reported a failure, exited, or was not ready in time. */
export class ChildError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

interface Loaded {
  child: AgentChild
  firstMessage: Promise<unknown>
  sendUrl(url: string): void
}

const READY_LIMIT_MS = 60_000
/** Time in ms between SIGTERM and SIGKILL for a child that does not stop. */
const STOP_LIMIT_MS = 15_000
/** Pause before the first restart of a child, in ms. The pause doubles after each failed start. */
const PAUSE_MS = 1_000
const PAUSE_MAX_MS = 30_000
/**
 * If a child has run for longer than this time in ms, it is restarted without a pause, because its start
 * succeeded.
 */
const STABLE_MS = 60_000

export function createChildService({ name, env, databaseUrl, log }: ChildServiceOptions): ChildService {
  let child: AgentChild | null = null
  let loaded: Loaded | null = null
  let wanted = false
  let timer: NodeJS.Timeout | undefined

  function load(): Loaded {
    const first = Promise.withResolvers<unknown>()
    // The URL contains a password. The child's environment and arguments are readable for apps.
    const url = Promise.withResolvers<string>()
    const passed = { variable: 'DATABASE_URL_FILE', content: url.promise }
    const script = join(import.meta.dirname, `${name}.ts`)
    child = startChild({ script, env: env(), passed, onMessage: first.resolve })
    return { child, firstMessage: first.promise, sendUrl: url.resolve }
  }

  async function launch(): Promise<void> {
    const { child: started, firstMessage, sendUrl } = loaded ?? load()
    loaded = null
    sendUrl(databaseUrl())
    const begin = Date.now()
    const endedEarly = started.ended.then((ending) => {
      throw new ChildError(
        'ended',
        `The ${name} ${describeExit(ending)} before it was ready. Its log is above.`,
      )
    })
    endedEarly.catch(() => {})
    try {
      accept(await withTimeout(Promise.race([firstMessage, endedEarly]), READY_LIMIT_MS))
    } catch (error) {
      await started.stop(STOP_LIMIT_MS)
      throw error
    }
    void started.ended.then((ending) => onExit(describeExit(ending), Date.now() - begin))
  }

  function accept(message: unknown): void {
    if (message === undefined) {
      throw new ChildError('silent', `The ${name} was not ready within ${READY_LIMIT_MS / 1000} s.`)
    }
    const { type, code, message: text } = message as ChildMessage
    if (type !== 'ready') throw new ChildError(code, text)
  }

  function onExit(how: string, uptimeMs: number): void {
    if (!wanted) return
    log.error({ child: name }, `the ${name} ${how}: restarting it`)
    scheduleRestart(uptimeMs > STABLE_MS ? 0 : PAUSE_MS)
  }

  /**
   * Restarts the child after `pause` milliseconds. Repeats failed starts without limit, because a home server
   * often has no administrator at hand.
   */
  function scheduleRestart(pause: number): void {
    clearTimeout(timer)
    timer = setTimeout(async () => {
      if (!wanted) return
      try {
        await launch()
        log.info({ child: name }, `the ${name} is running again`)
      } catch (error) {
        const next = Math.min(Math.max(pause, PAUSE_MS) * 2, PAUSE_MAX_MS)
        if (wanted) log.error({ child: name, error: String(error) }, `the ${name} failed to start: retrying`)
        scheduleRestart(next)
      }
    }, pause)
  }

  async function start(): Promise<void> {
    wanted = true
    await launch()
  }

  async function stop(): Promise<void> {
    wanted = false
    clearTimeout(timer)
    await child?.stop(STOP_LIMIT_MS)
  }

  return {
    preload() {
      loaded = load()
    },
    start,
    stop,
    restart: () => void child?.stop(STOP_LIMIT_MS),
    kill() {
      wanted = false
      child?.kill()
    },
  }
}
