/** Creates temporary directories that are removed at the end of a test file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/**
 * Creates a directory that only the current user may enter; it is removed after the tests of the file. Must
 * be called at the top of a file, because inside a test it would be removed before that test's own clean-up.
 */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'bloud-test-'))
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}
