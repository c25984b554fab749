/** Reads and validates the files by which the agent, the switch command and the supervisor exchange state. */
import { createHash } from 'node:crypto'
import { readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { APP_NAME, catalogAppSchema } from '../../domain/catalog.ts'
import { readIfExists } from '../../system/atomicfile.ts'
import type { Paths } from './paths.ts'

const name = z.string().regex(APP_NAME)

/** Schema of an app in config/apps.json, the configuration that the agent writes for the switch command. */
const wantedSchema = z.object({
  name,
  port: z.number().int().min(1).max(65535),
  catalog: catalogAppSchema.passthrough(),
  integrationConfig: z.record(z.unknown()),
})
export const configSchema = z.object({ apps: z.array(wantedSchema) })

/**
 * Schema of an app in a host generation. Contains everything that the supervisor needs, because the
 * supervisor does not read the catalog.
 */
const unitSchema = z.object({
  port: z.number(),
  /** Directory of the app's installed npm package. */
  store: z.string(),
  command: z.array(z.string()).min(1),
  environment: z.record(z.string()),
  /** Contents of the files to create before the first start, by path in the app's data directory. */
  files: z.record(z.string()),
})
export type UnitSpec = z.infer<typeof unitSchema>

/** Schema of the manifest of a host generation, generations/<n>/manifest.json. */
export const manifestSchema = z.object({ generation: z.number().int(), apps: z.record(name, unitSchema) })
export type Manifest = z.infer<typeof manifestSchema>

export const activationSchema = z.object({ id: z.string(), generation: z.number().int() })

/** Schema of supervisor/state.json, which contains the state of the supervisor and of its apps. */
const supervisorStateSchema = z.object({
  pid: z.number().int(),
  /**
   * Number of the host generation whose apps the supervisor runs. 0 if no generation was ever activated, null
   * if the supervisor has not read the manifest yet.
   */
  generation: z.number().int().nullable(),
  /** Id of the last completed activation. */
  activation: z.string().nullable(),
  apps: z.record(
    z.object({
      state: z.enum(['running', 'backoff', 'stopped']),
      pid: z.number().int().nullable(),
      /** Hash of the app's settings. An app is restarted only if the hash changes. */
      digest: z.string(),
      exitCode: z.number().int().nullable(),
      restarts: z.number().int(),
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

/**
 * Reads and validates a state file. Returns null if the file does not exist.
 * @throws if the content is not valid.
 */
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

/** Returns the number of the active host generation. Returns null if no generation was ever activated. */
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
