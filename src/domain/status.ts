/**
 * Statuses of an app, in the order of an install. The table `bloud.status_transitions` contains the allowed
 * transitions, which only the database checks.
 */
export const STATUSES = [
  'queued',
  'configuring',
  'building',
  'starting',
  'running',
  'stopping',
  'stopped',
  'error',
  'failed',
] as const

export type Status = (typeof STATUSES)[number]
