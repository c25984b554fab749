/**
 * Names of the environment variables that the agent reads. src/config.ts has their form. The names are in a
 * file of their own, because the process of `npm start` needs no more than the names.
 */
export const SETTINGS = [
  'DATABASE_URL',
  'DATABASE_URL_FILE',
  'BLOUD_DATABASE_ROLE',
  'BLOUD_DATA_DIR',
  'BLOUD_PORT',
  'BLOUD_LISTEN',
  'BLOUD_HOST_KIND',
  'BLOUD_CATALOG_DIR',
  'BLOUD_ALLOWED_HOSTS',
  'BLOUD_BUILD_TIMEOUT',
  'BLOUD_RETENTION_DAYS',
  'BLOUD_NIXOS_PROFILE',
  'BLOUD_NIXOS_CURRENT_SYSTEM',
  'BLOUD_NIXOS_REBUILD',
  'BLOUD_NIXOS_PROVIDED',
  'BLOUD_BASE_URLS',
  'BLOUD_SSO_URL',
  'BLOUD_HOST_SECRET_FILE',
  'BLOUD_LOG_LEVEL',
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
] as const
export type Setting = (typeof SETTINGS)[number]
