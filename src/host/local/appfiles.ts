/** Creates the data directory and the initial files of an app. */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
  writeFileSync,
} from 'node:fs'
import { chmod, lchown, lstat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { claimFile, makeDirectory, readIfExists, writeAtomic } from '../../system/atomicfile.ts'
import type { SystemUser } from '../../system/systemuser.ts'

/**
 * package.json in the parent directory of the apps' data directories. Without this file, Node would determine
 * the module type of an app's JavaScript files from a package.json further above, for example the agent's.
 */
const PACKAGE_BOUNDARY = { file: 'package.json', content: '{ "private": true, "type": "commonjs" }\n' }

/**
 * Creates the data directory and the files of an app. Existing files are kept, because the user may have
 * changed them.
 * @param user owner of the new files, or null for the user of this process.
 */
export async function prepareHome(
  home: string,
  files: Record<string, string>,
  user: SystemUser | null,
): Promise<void> {
  await makeDirectory(home, 0o700)
  if (user && (await lstat(home)).uid === 0) await lchown(home, user.uid, user.gid)
  const boundary = join(dirname(home), PACKAGE_BOUNDARY.file)
  if ((await readIfExists(boundary)) !== PACKAGE_BOUNDARY.content)
    await writeAtomic(boundary, PACKAGE_BOUNDARY.content)
  await chmod(boundary, 0o644)
  for (const [path, content] of Object.entries(files)) {
    if (user) writeAsRoot(home, path, content, user)
    else await createFile(join(home, path), content)
  }
}

async function createFile(path: string, content: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) await claimFile(path, content)
  else if (hasLostContent(found) && content !== '') await writeAtomic(path, content)
}

/** Returns true for an empty regular file, which has lost its content in a power failure. */
const hasLostContent = (found: Stats) => found.isFile() && found.size === 0

/**
 * Writes a file as root into a directory of another user. Opens each folder of the path by the descriptor of
 * its parent and without following links, because the app could put a link to a system folder in their place.
 */
function writeAsRoot(home: string, path: string, content: string, user: SystemUser): void {
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_CREAT, O_RDWR, O_NONBLOCK } = constants
  const names = path.split('/')
  const last = names.pop() as string
  let folder = openSync(home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  const inFolder = (name: string) => `/proc/self/fd/${folder}/${name}`
  try {
    for (const name of names) {
      const isNew = makeFolder(inFolder(name))
      const next = openSync(inFolder(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      closeSync(folder)
      folder = next
      if (isNew) fchownSync(folder, user.uid, user.gid)
    }
    const present = lstatSync(inFolder(last), { throwIfNoEntry: false })
    if (present && (!hasLostContent(present) || content === '')) return
    // Without O_NONBLOCK, a named pipe in the place of the file would block this process.
    const file = openSync(inFolder(last), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
    try {
      const found = fstatSync(file)
      if (!hasLostContent(found)) return
      fchownSync(file, user.uid, user.gid)
      writeFileSync(file, content)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  } finally {
    closeSync(folder)
  }
}

function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}
