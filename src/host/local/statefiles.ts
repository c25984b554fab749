/**
 * Reads the state files of the local host's programs. Every file is validated, because a user may have edited
 * the file.
 */
import { createHash } from 'node:crypto'
import { readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { APP_NAME, catalogAppSchema } from '../../domain/catalog.ts'
import { readIfExists } from '../../system/atomicfile.ts'
import type { Paths } from './paths.ts'

const name = z.string().regex(APP_NAME)

/**
 * Schema of an app in config/apps.json, the apps of the next generation. The agent writes the file, and the
 * switch command reads the file.
 */
const wantedSchema = z.object({
  name,
  port: z.number().int().min(1).max(65535),
  catalog: catalogAppSchema.passthrough(),
  integrationConfig: z.record(z.unknown()),
})
export const configSchema = z.object({ apps: z.array(wantedSchema) })

/**
 * Schema of an app in a generation. Contains everything that the supervisor needs to run the app, so that the
 * supervisor does not read the catalog.
 */
const unitSchema = z.object({
  port: z.number(),
  /** Directory of the app's package in the package store. */
  store: z.string(),
  command: z.array(z.string()).min(1),
  environment: z.record(z.string()),
  /**
   * Contents of the app's initial files, by path below the app's data directory. The files are created before
   * the first start.
   */
  files: z.record(z.string()),
})
export type UnitSpec = z.infer<typeof unitSchema>

/** Schema of generations/<n>/manifest.json. */
export const manifestSchema = z.object({ generation: z.number().int(), apps: z.record(name, unitSchema) })
export type Manifest = z.infer<typeof manifestSchema>

export const activationSchema = z.object({ id: z.string(), generation: z.number().int() })

/** Schema of supervisor/state.json, the current state of the supervisor and its apps. */
const supervisorStateSchema = z.object({
  pid: z.number().int(),
  /**
   * Number of the applied generation. null before the supervisor's first check, 0 if no generation was ever
   * activated.
   */
  generation: z.number().int().nullable(),
  /** Id of the applied activation; null before the first activation. */
  activation: z.string().nullable(),
  apps: z.record(
    z.object({
      state: z.enum(['running', 'backoff', 'stopped']),
      pid: z.number().int().nullable(),
      /** Digest of the app's running spec. If the new spec has the same digest, the process keeps running. */
      digest: z.string(),
      exitCode: z.number().int().nullable(),
      restarts: z.number().int(),
      /** Time of the last change of `state`, in ISO 8601 format. */
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

/** Returns the number of the active generation. Returns null before the first generation. */
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
