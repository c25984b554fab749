/** Creates temporary directories that are removed at the end of a test file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/**
 * Creates a directory with mode 0700, which is removed after all tests of the file.
 *
 * Must be called at the top level of the test file, because a call inside a test would remove the directory
 * before the test's own clean-up.
 */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'bloud-test-'))
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}
