/**
 * Secrets of apps: derived, never stored anywhere but in their own files. One secret of the host is enough to make all
 * of them again, so a lost file is written anew with the same content, and each app's secrets tell nothing of another's.
 */
import { hkdfSync, randomBytes, randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../../system/atomicfile.ts'

const SECRET_BYTES = 32

/** Derives the secret of one app for one purpose: 43 characters of base64url. */
export type Derive = (app: string, purpose: string) => string

/**
 * The secret of this host; made on first use. Whoever comes second, even at the same moment, gets the first one's.
 * @throws when the file is there but too short to be one: made by a hand, or cut short.
 */
export async function readHostSecret(path: string): Promise<Buffer> {
  const found = await readIfReadable(path)
  const secret = found ?? (await makeHostSecret(path))
  if (secret.length < SECRET_BYTES) {
    throw new Error(`${path} holds ${secret.length} bytes; a host secret has at least ${SECRET_BYTES}`)
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

/** Written aside and linked: the file is never there half written, and a link never replaces what is there. */
async function makeHostSecret(path: string): Promise<Buffer> {
  await mkdir(dirname(path), { recursive: true })
  const temp = `${path}.${randomUUID()}.tmp`
  try {
    await writeFile(temp, randomBytes(SECRET_BYTES), { mode: 0o600, flag: 'wx', flush: true })
    await link(temp, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(temp, { force: true })
  }
  await syncDirectory(dirname(path))
  return readFile(path)
}

/** HKDF-SHA256. App names hold no slash, so no two pairs of app and purpose share an info string. */
export function createDerive(hostSecret: Buffer): Derive {
  return (app, purpose) => {
    const bytes = hkdfSync('sha256', hostSecret, '', `bloud/1/${app}/${purpose}`, SECRET_BYTES)
    return Buffer.from(bytes).toString('base64url')
  }
}

/** Readable by us alone from its first moment; not touched when it is right already. */
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
  await writeSecretAnew(path, value)
}

async function writeSecretAnew(path: string, value: string): Promise<void> {
  const temp = `${path}.${randomUUID()}.tmp`
  try {
    await writeFile(temp, value, { mode: 0o600, flag: 'wx', flush: true })
    await rename(temp, path)
  } catch (error) {
    await rm(temp, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}
