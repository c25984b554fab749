/** Programs that some tests need and npm does not install. */
export type Tool = 'psql' | 'chromium' | 'nix'

const VARIABLES = { psql: 'BLOUD_TEST_PSQL', chromium: 'BLOUD_TEST_CHROMIUM', nix: 'BLOUD_TEST_NIX' }

/** Returns the path of a program, or null if the program is missing. */
export const toolPath = (tool: Tool): string | null => process.env[VARIABLES[tool]] || null

/** Returns options for `test()` that skip the test if the program is missing. */
export const needs = (tool: Tool): { skip: string | false } => ({
  skip: toolPath(tool) ? false : `${tool} is not installed here (or this was not started by "npm test")`,
})
