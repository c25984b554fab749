/**
 * Reads the volumes (data directories that the container mounts) in an app's catalog file. A volume is a text
 * such as `data:/config`, or an object with the properties `name`, `container` and `readOnly`.
 */
import { z } from 'zod'
import { anyText, boolean, type CatalogApp } from '../../domain/catalog.ts'

/** Pattern of a volume name. The name becomes a directory name, so a slash is not allowed. */
const VOLUME_NAME = /^[A-Za-z0-9_][\w.-]{0,62}$/
/** Pattern of an absolute path in the container, without `..`. */
const CONTAINER_PATH = /^(?!.*\/\.\.(?:\/|$))\/[\w./@+-]*$/

export interface Volume {
  name: string
  container: string
  readOnly: boolean
}

const volumeSchema = z.object({
  name: anyText.pipe(z.string().regex(VOLUME_NAME)),
  container: z.string().regex(CONTAINER_PATH),
  readOnly: boolean.default(false),
})

/**
 * Returns the volumes of an app.
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

/** Returns null if the text does not have the form `data:/config`, `data:/config:ro` or `data:/config:rw`. */
function parseShort(text: string): unknown {
  const [name, container, mode, ...more] = text.split(':')
  if (more.length > 0 || (mode !== undefined && mode !== 'ro' && mode !== 'rw')) return null
  return { name, container, readOnly: mode === 'ro' }
}
