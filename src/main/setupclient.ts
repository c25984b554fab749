/** Runs the steps of setup.ts in a child process. */
import { join } from 'node:path'
import { type AgentChild, describeExit, startChild } from '../system/childprocess.ts'
import type { SetupReply, SetupRequest, Steps } from './setupsteps.ts'
import { StartError } from './starterror.ts'

export interface Setup {
  /**
   * Runs a step. Starts the child process if it does not run.
   * @throws StartError with the message of an error that the operator can mend
   */
  run<Name extends keyof Steps>(step: Name, ...args: Parameters<Steps[Name]>): ReturnType<Steps[Name]>
  /** Ends the child process, which frees its memory. The next step starts another one. */
  end(): Promise<void>
}

const END_LIMIT_MS = 5_000

const errorOf = ({ code, message, stack, isExpected }: NonNullable<SetupReply['error']>): Error =>
  isExpected ? new StartError(code, message) : Object.assign(new Error(message), { code, stack })

/** @param env returns the environment of the child process */
export function createSetup(env: () => NodeJS.ProcessEnv): Setup {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  let child: AgentChild | null = null
  let last = 0

  function onReply(reply: SetupReply): void {
    const { resolve, reject } = waiting.get(reply.id) ?? {}
    waiting.delete(reply.id)
    if (reply.error) reject?.(errorOf(reply.error))
    else resolve?.(reply.value as never)
  }

  function start(): AgentChild {
    const started = startChild({
      script: join(import.meta.dirname, 'setup.ts'),
      env: env(),
      onMessage: (message) => onReply(message as SetupReply),
    })
    void started.ended.then((ending) => {
      if (child === started) child = null
      const message = `The setup ${describeExit(ending)} before it was complete. Its output is above.`
      for (const { reject } of waiting.values()) reject(new StartError('setup_ended', message))
      waiting.clear()
    })
    return started
  }

  return {
    run(step, ...args) {
      child ??= start()
      last += 1
      const { promise, ...settle } = Promise.withResolvers<never>()
      waiting.set(last, settle)
      child.send({ id: last, step, args } satisfies SetupRequest)
      return promise as ReturnType<Steps[typeof step]>
    },
    async end() {
      await child?.stop(END_LIMIT_MS)
    },
  }
}
