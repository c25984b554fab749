/**
 * Reads the volumes in a catalog file. A volume is written as `data:/config`, or as `{ name: data, container:
 * /config, readOnly: true }`.
 */
import { z } from 'zod'
import type { CatalogApp } from '../../domain/catalog.ts'

/** Pattern of a volume name. The name becomes a directory in the app's data, so a slash is not allowed. */
const VOLUME_NAME = /^[A-Za-z0-9_][\w.-]{0,62}$/
/** Pattern of an absolute path in the container, without `..`. */
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
 * Reads the volumes of an app.
 * @throws an error that names the invalid volume.
 */
export function readVolumes(app: CatalogApp): Volume[] {
  return app.volumes.map((volume) => {
    const parsed = volumeSchema.safeParse(typeof volume === 'string' ? parseShort(volume) : volume)
    if (!parsed.success)
      throw new Error(`its volume ${JSON.stringify(volume)} does not have the form name:/path`)
    return parsed.data
  })
}

/** Parses a volume such as `data:/config`. Returns null if the text has another format. */
function parseShort(text: string): unknown {
  const [name, container, mode, ...more] = text.split(':')
  if (more.length > 0 || (mode !== undefined && mode !== 'ro' && mode !== 'rw')) return null
  return { name, container, readOnly: mode === 'ro' }
}
