/**
 * Program that `npm start` starts for what is done once: reading the settings, preparing the database,
 * starting and ending the apps. In a process of its own, because its code would take 25 MB of memory for as
 * long as the agent runs.
 */
import { hideEnvironment } from '../config/childenvironment.ts'
import { ConfigError, readConfig } from '../config.ts'
import { PostgresError } from '../postgres/error.ts'
import type { SetupReply, SetupRequest, Steps } from './setupsteps.ts'
import { StartError } from './starterror.ts'

/** Errors whose message is written for the operator. Others are bugs, which are printed with the stack. */
const EXPECTED: (abstract new (...args: never[]) => Error)[] = [StartError, ConfigError, PostgresError]

let loading: Promise<typeof import('./setupwork.ts')> | undefined

/** Loads the code of the later steps, while PostgreSQL starts. */
function loadWork(): Promise<typeof import('./setupwork.ts')> {
  loading ??= import('./setupwork.ts').then((work) => {
    EXPECTED.push(...work.EXPECTED)
    return work
  })
  return loading
}

const steps: Steps = {
  async config() {
    const config = readConfig()
    hideEnvironment()
    return config
  },
  async prepare(dataDir) {
    const { prepare } = await import('../postgres/preparation.ts')
    return prepare(dataDir)
  },
  migrate: async (...args) => (await loadWork()).migrate(...args),
  startHost: async (...args) => (await loadWork()).startHost(...args),
  stopHost: async (...args) => (await loadWork()).stopHost(...args),
}

async function replyTo({ id, step, args }: SetupRequest): Promise<SetupReply> {
  try {
    const work = steps[step] as (...args: unknown[]) => Promise<unknown>
    return { id, value: (await work(...args)) ?? null }
  } catch (error) {
    const { code = 'unknown', message, stack = '' } = error as Error & { code?: string }
    const isExpected = EXPECTED.some((kind) => error instanceof kind)
    return { id, error: { code, message, stack, isExpected } }
  }
}

let last: Promise<unknown> = Promise.resolve()
process.on('message', (request: SetupRequest) => {
  // One after the other, so that the apps are not ended while they are being started.
  last = last.then(async () => process.send?.(await replyTo(request)))
  if (request.step === 'prepare') void last.then(loadWork)
})
process.on('disconnect', () => process.exit(0))
