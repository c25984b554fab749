import { mkdtempSync, rmSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'

/**
 * Creates a temporary directory, which is removed after all tests of the file.
 *
 * Must be called at the top level of the test file. Called inside a test, the directory would be removed at
 * the end of this test, before processes that use the directory are stopped.
 */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'bloud-test-'))
  after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}

/**
 * Creates a temporary directory, which is removed at the end of the test. Every user may enter it and write
 * to it.
 */
export async function sharedDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bloud-shared-'))
  await chmod(directory, 0o777)
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}
