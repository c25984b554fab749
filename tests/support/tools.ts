/**
 * Programs that some tests need and that npm does not install. `npm test` installs missing programs or prints
 * their names.
 */
export type Tool = 'psql' | 'chromium' | 'nix'

const VARIABLES = { psql: 'BLOUD_TEST_PSQL', chromium: 'BLOUD_TEST_CHROMIUM', nix: 'BLOUD_TEST_NIX' }

/** Returns the path of the program, or null if the program is missing. */
export const toolPath = (tool: Tool): string | null => process.env[VARIABLES[tool]] || null

/** Returns options for `test()` that skip the test, with a reason, if the program is missing. */
export const needs = (tool: Tool): { skip: string | false } => ({
  skip: toolPath(tool) ? false : `${tool} is not installed here (or this was not started by "npm test")`,
})
