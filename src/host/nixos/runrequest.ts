/** Reads the file that contains the apps and the previous generation of a run of the switch command. */
import { z } from 'zod'
import { readIfExists } from '../../system/atomicfile.ts'

const requestSchema = z.object({
  run: z.string(),
  /** Names of the apps in the run's configuration. */
  apps: z.array(z.string()),
  /** Host generation that was active before the run. */
  generation: z.string().nullable(),
})
export type RunRequest = z.infer<typeof requestSchema>

/** Reads the request of a run. Returns null if the file is missing or incomplete. */
export async function readRequest(path: string): Promise<RunRequest | null> {
  try {
    return requestSchema.parse(JSON.parse((await readIfExists(path)) ?? 'null'))
  } catch {
    return null
  }
}
