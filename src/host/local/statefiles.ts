/**
 * Reads and validates the files by which the agent, switch.ts (installs the apps) and the supervisor
 * (process that runs the apps) exchange their state.
 */
import { createHash } from 'node:crypto'
import { readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { APP_NAME, catalogAppSchema } from '../../domain/catalog.ts'
import { readIfExists } from '../../system/atomicfile.ts'
import type { Paths } from './paths.ts'

const name = z.string().regex(APP_NAME)

/** App in config/apps.json, which the agent writes and switch.ts reads. */
export const wantedSchema = z.object({
  name,
  port: z.number().int().min(1).max(65535),
  catalog: catalogAppSchema.passthrough(),
  integrationConfig: z.record(z.unknown()),
  installing: z.boolean().optional(),
})
/** Content of config/apps.json. Each app is checked by itself, so that one app can't spoil the others. */
export const configSchema = z.object({ apps: z.array(z.object({ name }).passthrough()) })

/**
 * App in a generation (a complete configuration that can be activated again). Contains everything that the
 * supervisor needs, because the supervisor does not read the catalog.
 */
const unitSchema = z.object({
  port: z.number(),
  store: z.string(),
  command: z.array(z.string()).min(1),
  environment: z.record(z.string()),
  /** Contents of the files to create before the first start, by path in the app's data directory. */
  files: z.record(z.string()),
})
export type UnitSpec = z.infer<typeof unitSchema>

/** Content of generations/<number>/manifest.json, which lists the apps of one generation. */
export const manifestSchema = z.object({ generation: z.number().int(), apps: z.record(name, unitSchema) })
export type Manifest = z.infer<typeof manifestSchema>

export const activationSchema = z.object({ id: z.string(), generation: z.number().int() })

/** Content of supervisor/state.json, in which the supervisor records the state of the apps. */
const supervisorStateSchema = z.object({
  pid: z.number().int(),
  /** User of the apps. Supervisors of earlier versions do not write it. */
  uid: z.number().int().optional(),
  /**
   * Number of the generation whose apps the supervisor runs. 0 before the first activation, null until the
   * supervisor has read a manifest.
   */
  generation: z.number().int().nullable(),
  activation: z.string().nullable(),
  /**
   * True if the supervisor has completed its start and applies generations. Supervisors of earlier versions
   * do not write it.
   */
  ready: z.boolean().default(true),
  apps: z.record(
    z.object({
      state: z.enum(['running', 'backoff', 'stopped']),
      pid: z.number().int().nullable(),
      /** Hash of the app's settings. A changed hash makes the supervisor restart the app. */
      digest: z.string(),
      exitCode: z.number().int().nullable(),
      restarts: z.number().int(),
      since: z.string(),
      /**
       * Time of the first start in ms of the machine's monotonic clock. Absent in the file of a supervisor
       * that an older agent started.
       */
      startedAt: z.number().optional(),
      /** Number of times that `restarts` was reset without a start. Absent in files of older agents. */
      resets: z.number().int().optional(),
    }),
  ),
})
export type SupervisorState = z.infer<typeof supervisorStateSchema>

const failureSchema = z.object({
  class: z.enum(['evaluate', 'build', 'activate']),
  message: z.string(),
  log: z.array(z.string()),
})
export const resultSchema = z.object({
  failures: z.record(failureSchema),
  /** Failure of all apps. */
  cause: failureSchema.optional(),
})

/**
 * Returns the validated content of a state file. Returns null if the file does not exist.
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

/** Returns the number of the active generation. Returns null before the first activation. */
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
