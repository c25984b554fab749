/** Directories that live as long as a test file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/**
 * A new directory that only we may enter, removed when the tests of the file are over. To be called at the top of a
 * file: inside a test it would be removed before that test's own clean-up.
 */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'bloud-test-'))
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}
