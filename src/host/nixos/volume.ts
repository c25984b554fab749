/**
 * Reads the volumes of a catalog file. The short form is `data:/config`, the long form is `{ name: data,
 * container: /config, readOnly: true }`.
 */
import { z } from 'zod'
import type { CatalogApp } from '../../domain/catalog.ts'

/**
 * Pattern of a volume name, which becomes a directory in the app's data. A name can't contain a slash, so the
 * directory is always inside the app's data.
 */
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
 * Reads the volumes of an app, in short or long form.
 * @throws an error that names the volume that is not valid.
 */
export function readVolumes(app: CatalogApp): Volume[] {
  return app.volumes.map((volume) => {
    const parsed = volumeSchema.safeParse(typeof volume === 'string' ? parseShort(volume) : volume)
    if (!parsed.success)
      throw new Error(`its volume ${JSON.stringify(volume)} does not have the form name:/path`)
    return parsed.data
  })
}

/** Parses the short form of a volume. Returns null if the short form is not valid. */
function parseShort(text: string): unknown {
  const [name, container, mode, ...more] = text.split(':')
  if (more.length > 0 || (mode !== undefined && mode !== 'ro' && mode !== 'rw')) return null
  return { name, container, readOnly: mode === 'ro' }
}
