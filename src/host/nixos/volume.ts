/** Volumes of a catalog file: `data:/config`, or `{ name: data, container: /config, readOnly: true }`. */
import { z } from 'zod'
import type { CatalogApp } from '../../domain/catalog.ts'

/** A folder of the app's data; nothing that could lead out of it. */
const VOLUME_NAME = /^[A-Za-z0-9_][\w.-]{0,62}$/
/** Absolute, plain, and without a step upwards. */
const CONTAINER_PATH = /^(?!.*\/\.\.(?:\/|$))\/[\w./@+-]*$/

export interface Volume {
  name: string
  container: string
  readOnly: boolean
}

const volumeSchema = z.object({
  name: z.string().regex(VOLUME_NAME),
  container: z.string().regex(CONTAINER_PATH),
  readOnly: z.boolean().default(false),
})

/** @throws with the volume that can't be read. */
export function readVolumes(app: CatalogApp): Volume[] {
  return app.volumes.map((volume) => {
    const parsed = volumeSchema.safeParse(typeof volume === 'string' ? parseShort(volume) : volume)
    if (!parsed.success) throw new Error(`its volume ${JSON.stringify(volume)} is not of the form name:/path`)
    return parsed.data
  })
}

function parseShort(text: string): unknown {
  const [name, container, mode, ...more] = text.split(':')
  if (more.length > 0 || (mode !== undefined && mode !== 'ro' && mode !== 'rw')) return null
  return { name, container, readOnly: mode === 'ro' }
}
