/**
 * Statuses of an app, in the order of an install. The allowed transitions are rows of
 * `bloud.status_transitions`, and only the database checks them.
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
