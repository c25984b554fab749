/** What a run was started for: kept beside its log, so that its outcome can be read after a restart. */
import { z } from 'zod'
import { readIfExists } from '../../system/atomicfile.ts'

const requestSchema = z.object({
  run: z.string(),
  /** The names of the apps that its configuration wants. */
  apps: z.array(z.string()),
  /** What was on before. */
  generation: z.string().nullable(),
})
export type RunRequest = z.infer<typeof requestSchema>

/** Null when there is none yet, or it was cut short. */
export async function readRequest(path: string): Promise<RunRequest | null> {
  try {
    return requestSchema.parse(JSON.parse((await readIfExists(path)) ?? 'null'))
  } catch {
    return null
  }
}
