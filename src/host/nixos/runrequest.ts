/**
 * The request of a run, stored beside its log, so that the agent can interpret the run's outcome after a
 * restart.
 */
import { z } from 'zod'
import { readIfExists } from '../../system/atomicfile.ts'

const requestSchema = z.object({
  run: z.string(),
  /** Names of the apps in the run's configuration. */
  apps: z.array(z.string()),
  /** Generation that was current before the run. */
  generation: z.string().nullable(),
})
export type RunRequest = z.infer<typeof requestSchema>

/** Reads a run's request; null if it does not exist yet or is incomplete. */
export async function readRequest(path: string): Promise<RunRequest | null> {
  try {
    return requestSchema.parse(JSON.parse((await readIfExists(path)) ?? 'null'))
  } catch {
    return null
  }
}
