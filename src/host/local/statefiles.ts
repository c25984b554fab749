/**
 * State files of the local host's programs. Each is validated when read, because a user may have edited it.
 */
import { createHash } from 'node:crypto'
import { readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { APP_NAME, catalogAppSchema } from '../../domain/catalog.ts'
import { readIfExists } from '../../system/atomicfile.ts'
import type { Paths } from './paths.ts'

const name = z.string().regex(APP_NAME)

/** config/apps.json: the apps of the next generation. Written by the agent, read by the switch. */
const wantedSchema = z.object({
  name,
  port: z.number().int().min(1).max(65535),
  catalog: catalogAppSchema.passthrough(),
  integrationConfig: z.record(z.unknown()),
})
export const configSchema = z.object({ apps: z.array(wantedSchema) })

/** One app of a generation: all the supervisor needs to run the app, so that it does not read the catalog. */
const unitSchema = z.object({
  port: z.number(),
  /** Directory in the store. */
  store: z.string(),
  command: z.array(z.string()).min(1),
  environment: z.record(z.string()),
  /** Contents by path below the app's data directory. Created before the first start. */
  files: z.record(z.string()),
})
export type UnitSpec = z.infer<typeof unitSchema>

/** generations/<n>/manifest.json */
export const manifestSchema = z.object({ generation: z.number().int(), apps: z.record(name, unitSchema) })
export type Manifest = z.infer<typeof manifestSchema>

export const activationSchema = z.object({ id: z.string(), generation: z.number().int() })

/** supervisor/state.json: what the supervisor has done so far. */
const supervisorStateSchema = z.object({
  pid: z.number().int(),
  /** The applied generation: null before the first check, 0 if no generation was ever activated. */
  generation: z.number().int().nullable(),
  /** Id of the applied activation; null before the first. */
  activation: z.string().nullable(),
  apps: z.record(
    z.object({
      state: z.enum(['running', 'backoff', 'stopped']),
      pid: z.number().int().nullable(),
      /** Digest of the spec that runs. If the new spec has the same digest, the process keeps running. */
      digest: z.string(),
      exitCode: z.number().int().nullable(),
      restarts: z.number().int(),
      /** Time of the last change of state, ISO 8601. */
      since: z.string(),
    }),
  ),
})
export type SupervisorState = z.infer<typeof supervisorStateSchema>

export const resultSchema = z.object({
  failures: z.record(
    z.object({
      class: z.enum(['evaluate', 'build', 'activate']),
      message: z.string(),
      log: z.array(z.string()),
    }),
  ),
})

/** Reads and validates a state file; null if there is none. @throws if the content is not valid. */
export async function readStateFile<T extends z.ZodTypeAny>(
  path: string,
  schema: T,
): Promise<z.output<T> | null> {
  const text = await readIfExists(path)
  if (text === null) return null
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw new Error(`${path} can't be read: ${(error as Error).message}`)
  }
}

/** Returns the number of the active generation; null before the first. */
export async function currentGeneration(paths: Paths): Promise<string | null> {
  try {
    return basename(await readlink(paths.current))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

export async function currentManifest(paths: Paths): Promise<Manifest | null> {
  const generation = await currentGeneration(paths)
  if (generation === null) return null
  return readStateFile(join(paths.generations, generation, 'manifest.json'), manifestSchema)
}

export const supervisorState = (paths: Paths): Promise<SupervisorState | null> =>
  readStateFile(paths.supervisorState, supervisorStateSchema)

export const digestOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
