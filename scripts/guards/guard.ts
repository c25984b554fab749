/** One protection of the program, and the tests that must fail without the protection. */
export interface Guard {
  /** Sentence that states what the guard ensures. */
  name: string
  /** Path of the source file, relative to the root of the repository. */
  file: string
  /** Pairs of text: the text of the guard, which occurs exactly once in the file, and its replacement. */
  changes: readonly (readonly [find: string, replacement: string])[]
  /** Paths of test files of which at least one test must fail. */
  tests: readonly string[]
}

/**
 * Returns the text of a source file without the guard.
 * @throws Error if a text of the guard does not occur exactly once in the file.
 */
export function withoutGuard(guard: Guard, text: string): string {
  return guard.changes.reduce((changed, [find, replacement]) => {
    const parts = changed.split(find)
    if (parts.length !== 2)
      throw new Error(`${guard.file} contains ${parts.length - 1} times: ${find} (guard "${guard.name}")`)
    return parts.join(replacement)
  }, text)
}
