/** The agent's processes, as `npm start` sees them: started, waited for, started again when they die. */
import { join } from 'node:path'
import { z } from 'zod'
import type { Logger } from '../log.ts'
import { type AgentChild, describeExit, startChild } from '../system/childprocess.ts'
import { withTimeout } from '../system/timeout.ts'

export interface ChildService {
  /** Resolves when it says that it works. @throws ChildError */
  start(): Promise<void>
  /** Ends it and starts it again, with the environment as it is then. */
  restart(): void
  stop(): Promise<void>
  /** Ends it at once. */
  kill(): void
}

export interface ChildServiceOptions {
  /** File in this folder, without its ending. */
  name: 'relay' | 'orchestrator'
  env: () => NodeJS.ProcessEnv
  log: Logger
}

/** A process said, or showed, that it can't work. */
export class ChildError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

const READY_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 15_000
const PAUSE_MS = 1_000
const PAUSE_MAX_MS = 30_000
/** Who has worked for this long has earned a short pause again. */
const STABLE_MS = 60_000

const messages = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string() }),
])

export function createChildService({ name, env, log }: ChildServiceOptions): ChildService {
  let child: AgentChild | null = null
  let wanted = false
  let timer: NodeJS.Timeout | undefined

  /** Starts it and waits for its word. */
  async function launch(): Promise<void> {
    let hear: (message: unknown) => void = () => {}
    const heard = new Promise<unknown>((resolve) => {
      hear = resolve
    })
    const fresh = startChild({ script: join(import.meta.dirname, `${name}.ts`), env: env(), onMessage: hear })
    child = fresh
    const begin = Date.now()
    const died = fresh.ended.then((ending) => {
      throw new ChildError(
        'ended',
        `The ${name} ${describeExit(ending)} before it was ready; see its log above.`,
      )
    })
    died.catch(() => {})
    try {
      accept(await withTimeout(Promise.race([heard, died]), READY_LIMIT_MS))
    } catch (error) {
      await fresh.stop(STOP_LIMIT_MS)
      throw error
    }
    void fresh.ended.then((ending) => lost(describeExit(ending), Date.now() - begin))
  }

  function accept(message: unknown): void {
    if (message === undefined) {
      throw new ChildError('silent', `The ${name} was not ready within ${READY_LIMIT_MS / 1000} s.`)
    }
    const said = messages.parse(message)
    if (said.type === 'failed') throw new ChildError(said.code, said.message)
  }

  function lost(how: string, livedMs: number): void {
    if (!wanted) return
    log.error({ child: name }, `the ${name} ${how}; starting it again`)
    again(livedMs > STABLE_MS ? 0 : PAUSE_MS)
  }

  /** Without end, with longer and longer pauses: a home server has nobody who would start it by hand. */
  function again(pause: number): void {
    clearTimeout(timer)
    timer = setTimeout(async () => {
      if (!wanted) return
      try {
        await launch()
        log.info({ child: name }, `the ${name} is back`)
      } catch (error) {
        const next = Math.min(Math.max(pause, PAUSE_MS) * 2, PAUSE_MAX_MS)
        if (wanted) log.error({ child: name, error: String(error) }, `the ${name} does not start`)
        again(next)
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
    start,
    stop,
    restart: () => void child?.stop(STOP_LIMIT_MS),
    kill: () => child?.kill(),
  }
}
