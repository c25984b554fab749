/**
 * Secrets of apps, derived from one host secret and stored only in their own files. A lost file is written
 * again with the same content. One app's secrets reveal nothing about another app's.
 */
import { hkdfSync, randomBytes, randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../../system/atomicfile.ts'

const SECRET_BYTES = 32

/** Derives the secret of one app for one purpose: 43 characters of base64url. */
export type Derive = (app: string, purpose: string) => string

/**
 * Reads the host secret, and creates it on first use. Concurrent callers all get the secret that was created
 * first.
 * @throws if the file is too short, because it was truncated or written by hand.
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

/**
 * Creates the host secret as a temporary file and links it to its path. So the file is never half-written,
 * and an existing secret is never replaced.
 */
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

/**
 * Creates the derivation function (HKDF-SHA256). Each pair of app and purpose has its own info string,
 * because app names contain no slash.
 */
export function createDerive(hostSecret: Buffer): Derive {
  return (app, purpose) => {
    const bytes = hkdfSync('sha256', hostSecret, '', `bloud/1/${app}/${purpose}`, SECRET_BYTES)
    return Buffer.from(bytes).toString('base64url')
  }
}

/**
 * Writes a secret, readable only by the agent from its creation on. Does nothing if content and mode are
 * correct.
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
