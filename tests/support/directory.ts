import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after } from 'node:test'

/**
 * Creates a temporary directory, which is removed after all tests of the file. Every user may read it,
 * because npm and the apps of root's agent run as another user.
 *
 * Must be called at the top level of the test file. Called inside a test, the directory would be removed at
 * the end of this test, before processes that use the directory are stopped.
 */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'bloud-test-'))
  chmodSync(directory, 0o755)
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}

/**
 * Beginning of the paths of publicDirectories() in a run of the tests whose temporary folder is `folder`. It
 * has the name of that folder, so that processes and files of a run that was cut off can be found.
 */
export const publicPrefix = (folder: string): string => `/var/tmp/${basename(folder)}-`

/**
 * As temporaryDirectory(), but every user may enter the directory. It is not in the temporary folder of the
 * tests, which other users may not enter.
 * @returns a function that creates a directory in it, to which every user may write.
 */
export function publicDirectories(): () => string {
  const top = mkdtempSync(publicPrefix(tmpdir()))
  chmodSync(top, 0o755)
  after(() => rmSync(top, { recursive: true, force: true, maxRetries: 5 }))
  return () => {
    const directory = mkdtempSync(join(top, 'public-'))
    chmodSync(directory, 0o777)
    return directory
  }
}
