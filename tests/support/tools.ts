/** Programs that some tests need, other than npm packages. */
export type Tool = keyof typeof VARIABLES

const VARIABLES = {
  psql: 'BLOUD_TEST_PSQL',
  chromium: 'BLOUD_TEST_CHROMIUM',
  nix: 'BLOUD_TEST_NIX',
  nginx: 'BLOUD_TEST_NGINX',
  haproxy: 'BLOUD_TEST_HAPROXY',
  pgbouncer: 'BLOUD_TEST_PGBOUNCER',
} as const

export const toolPath = (tool: Tool): string | null => process.env[VARIABLES[tool]] || null

export const needs = (tool: Tool): { skip: string | false } => ({
  skip: toolPath(tool) ? false : `${tool} is not installed here (or this was not started by "npm test")`,
})
