/** Programs that some tests need and npm does not bring. `npm test` installs them where it can, and says so where not. */
export type Tool = 'psql' | 'chromium' | 'nix'

const VARIABLES = { psql: 'BLOUD_TEST_PSQL', chromium: 'BLOUD_TEST_CHROMIUM', nix: 'BLOUD_TEST_NIX' }

/** The program's path, or null. */
export const toolPath = (tool: Tool): string | null => process.env[VARIABLES[tool]] || null

/** For the options of a test: skips it, saying why, when the program is missing. */
export const needs = (tool: Tool): { skip: string | false } => ({
  skip: toolPath(tool) ? false : `${tool} is not installed here (or this was not started by "npm test")`,
})
