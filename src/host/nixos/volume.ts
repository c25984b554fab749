/**
 * Volumes in a catalog file, in short form `data:/config` or in long form
 * `{ name: data, container: /config, readOnly: true }`.
 */
import { z } from 'zod'
import type { CatalogApp } from '../../domain/catalog.ts'

/** Name of a directory in the app's data, without a character that could lead out of it. */
const VOLUME_NAME = /^[A-Za-z0-9_][\w.-]{0,62}$/
/** Absolute path of plain characters, without `..`. */
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

/**
 * Reads the volumes in either form.
 * @throws with the volume that is not valid.
 */
export function readVolumes(app: CatalogApp): Volume[] {
  return app.volumes.map((volume) => {
    const parsed = volumeSchema.safeParse(typeof volume === 'string' ? parseShort(volume) : volume)
    if (!parsed.success)
      throw new Error(`its volume ${JSON.stringify(volume)} does not have the form name:/path`)
    return parsed.data
  })
}

/** Parses the short form; null if it is not valid. */
function parseShort(text: string): unknown {
  const [name, container, mode, ...more] = text.split(':')
  if (more.length > 0 || (mode !== undefined && mode !== 'ro' && mode !== 'rw')) return null
  return { name, container, readOnly: mode === 'ro' }
}
