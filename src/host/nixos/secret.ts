/**
 * Derives the secrets of apps from one host secret, so that a lost secret file can be written again with the
 * same content. An app can't compute the secrets of other apps from its own secrets.
 */
import { hkdfSync, randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { claimFile, writeAtomic } from '../../system/atomicfile.ts'

const SECRET_BYTES = 32

/** Returns the secret of one app for one purpose: 32 bytes, written as 43 characters of base64url. */
export type Derive = (app: string, purpose: string) => string

/**
 * Reads the host secret. Creates the host secret on first use.
 * @throws if the file is too short to be a host secret.
 */
export async function readHostSecret(path: string): Promise<Buffer> {
  const found = await readIfReadable(path)
  const secret = found ?? (await makeHostSecret(path))
  if (secret.length < SECRET_BYTES) {
    throw new Error(`${path} contains ${secret.length} bytes; a host secret has at least ${SECRET_BYTES}`)
  }
  return secret
}

async function readIfReadable(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Creates the host secret. If another process creates it at the same time, both return the same secret. */
async function makeHostSecret(path: string): Promise<Buffer> {
  await claimFile(path, randomBytes(SECRET_BYTES), 0o600)
  return readFile(path)
}

/**
 * Returns the function that derives secrets with HKDF-SHA256. App names contain no slash, so two different
 * pairs of app and purpose never give the same secret.
 */
export function createDerive(hostSecret: Buffer): Derive {
  return (app, purpose) => {
    const bytes = hkdfSync('sha256', hostSecret, '', `bloud/1/${app}/${purpose}`, SECRET_BYTES)
    return Buffer.from(bytes).toString('base64url')
  }
}

/**
 * Writes a secret to a file that only the agent can read. Does nothing if the file already has this content
 * and mode.
 */
export async function writeSecret(path: string, value: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const handle = await open(path, 'r').catch(() => null)
  if (handle) {
    try {
      const { mode } = await handle.stat()
      if ((mode & 0o777) === 0o600 && (await handle.readFile('utf8')) === value) return
    } finally {
      await handle.close()
    }
  }
  await writeAtomic(path, value, 0o600)
}
