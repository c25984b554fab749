/**
 * Programs that some tests need and npm does not install. `npm test` installs them or prints which are
 * missing.
 */
export type Tool = 'psql' | 'chromium' | 'nix'

const VARIABLES = { psql: 'BLOUD_TEST_PSQL', chromium: 'BLOUD_TEST_CHROMIUM', nix: 'BLOUD_TEST_NIX' }

/** Returns the path of the program, or null. */
export const toolPath = (tool: Tool): string | null => process.env[VARIABLES[tool]] || null

/** Returns test options that skip the test with a reason if the program is missing. */
export const needs = (tool: Tool): { skip: string | false } => ({
  skip: toolPath(tool) ? false : `${tool} is not installed here (or this was not started by "npm test")`,
})
