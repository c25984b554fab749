/** Reads apps.json, the list of configured apps that the agent wrote last. */
import { z } from 'zod'
import { readIfExists } from '../../system/atomicfile.ts'
import type { NixosPaths } from './paths.ts'

const appsSchema = z.object({ apps: z.array(z.object({ name: z.string(), port: z.number() })) })

export async function readApps(paths: NixosPaths): Promise<{ name: string; port: number }[]> {
  const text = await readIfExists(paths.apps)
  return text === null ? [] : appsSchema.parse(JSON.parse(text)).apps
}

export const configuredApps = async (paths: NixosPaths): Promise<string[]> =>
  (await readApps(paths)).map(({ name }) => name)
