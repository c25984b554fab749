/**
 * Deletes an app's data. Its files belong to whatever user its container has, so on NixOS it takes root: a file called
 * like the app asks for it, and the unit that waits for such files removes it when it is done, one way or the other.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { claimFile } from '../../system/atomicfile.ts'
import { pollUntil } from '../../system/timeout.ts'
import type { NixosPaths } from './paths.ts'
import { clientSecretFile } from './render.ts'

/** Terabytes of small files on a slow disk take their time. */
const PURGE_LIMIT_MS = 10 * 60_000

export interface PurgeOptions {
  paths: NixosPaths
  dataDir: string
  /** Ask systemd's unit; without it everything here is ours anyway. */
  byUnit: boolean
  limitMs?: number
}

/** @throws when anything is left. */
export async function purge(name: string, options: PurgeOptions): Promise<void> {
  const { paths, dataDir, byUnit } = options
  const data = join(dataDir, 'apps', name)
  if (byUnit && existsSync(data)) await askForPurge(name, options)
  for (const path of [data, join(paths.secrets, name), clientSecretFile(paths, name)]) {
    if (!resolve(path).startsWith(resolve(dataDir) + sep)) throw new Error(`${path} is outside`)
    await rm(path, { recursive: true, force: true })
  }
}

async function askForPurge(name: string, { paths, limitMs = PURGE_LIMIT_MS }: PurgeOptions): Promise<void> {
  const request = join(paths.purge, name)
  await claimFile(request, '')
  if (await pollUntil(() => !existsSync(request), limitMs)) return
  await rm(request, { force: true })
  throw new Error(`nobody deleted its data within ${limitMs / 1000} s: is bloud-purge.path active?`)
}
