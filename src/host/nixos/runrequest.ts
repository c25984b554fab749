/**
 * Reads the file that contains, for one execution of `nixos-rebuild switch`, the names of the configured apps
 * and the system that was active before.
 */
import { z } from 'zod'
import { readIfExists } from '../../system/atomicfile.ts'

const requestSchema = z.object({
  run: z.string(),
  apps: z.array(z.string()),
  /** System that was active before `nixos-rebuild switch`, for example "42 (0a1b2c3d4e5f)". */
  generation: z.string().nullable(),
})
export type RunRequest = z.infer<typeof requestSchema>

export async function readRequest(path: string): Promise<RunRequest | null> {
  try {
    return requestSchema.parse(JSON.parse((await readIfExists(path)) ?? 'null'))
  } catch {
    return null
  }
}
