/**
 * Deletes the data of an app. The files belong to users inside the app's container, so only root can delete
 * them. The agent creates a request file, which makes systemd start a service that deletes the data and the
 * request file.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { claimFile } from '../../system/atomicfile.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { NixosPaths } from './paths.ts'
import { clientSecretFile } from './render.ts'

/**
 * Upper limit of the duration of one deletion in ms. Terabytes of small files on a slow disk take minutes.
 */
const PURGE_LIMIT_MS = 10 * 60_000

export interface PurgeOptions {
  paths: NixosPaths
  dataDir: string
  /**
   * True if a systemd service with root privileges deletes the data. If false, the agent itself deletes the
   * data.
   */
  byUnit: boolean
  limitMs?: number
}

/**
 * Deletes the data and secrets of one app.
 * @throws if a file could not be deleted.
 */
export async function purge(name: string, options: PurgeOptions): Promise<void> {
  const { paths, dataDir, byUnit } = options
  const data = join(dataDir, 'apps', name)
  if (byUnit && existsSync(data)) await requestPurge(name, options)
  for (const path of [data, join(paths.secrets, name), clientSecretFile(paths, name)]) {
    if (!resolve(path).startsWith(resolve(dataDir) + sep)) throw new Error(`${path} is outside ${dataDir}`)
    await rm(path, { recursive: true, force: true })
  }
}

async function requestPurge(name: string, { paths, limitMs = PURGE_LIMIT_MS }: PurgeOptions): Promise<void> {
  const request = join(paths.purge, name)
  await claimFile(request, '')
  if (await pollUntil(() => !existsSync(request), limitMs)) return
  await rm(request, { force: true })
  throw new Error(
    `the data of ${name} was not deleted within ${limitMs / 1000} s: check that bloud-purge.path is active`,
  )
}
