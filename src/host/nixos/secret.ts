/**
 * Derives the secrets of apps from one host secret. A secret is stored only in its own file, and a lost file
 * can be written again with the same content. The secrets of an app reveal nothing about the secrets of other
 * apps.
 */
import { hkdfSync, randomBytes, randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../../system/atomicfile.ts'

const SECRET_BYTES = 32

/** Function that derives the secret of one app for one purpose, 43 characters of base64url. */
export type Derive = (app: string, purpose: string) => string

/**
 * Reads the host secret, or creates a host secret on first use. Concurrent callers all get the secret that
 * was created first.
 * @throws if the file is too short, because the file was truncated or written by hand.
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
 * Creates the host secret as a temporary file and hard-links the file to its path. The file at the path is
 * then always complete, and an existing secret is never replaced.
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
 * Returns the derivation function (HKDF-SHA256). Every pair of app and purpose has its own info string,
 * because app names contain no slash.
 */
export function createDerive(hostSecret: Buffer): Derive {
  return (app, purpose) => {
    const bytes = hkdfSync('sha256', hostSecret, '', `bloud/1/${app}/${purpose}`, SECRET_BYTES)
    return Buffer.from(bytes).toString('base64url')
  }
}

/**
 * Writes a secret file that only the agent can read, from the creation of the file on. Does nothing if
 * content and mode are correct.
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
