/**
 * Statuses of an app, in the order of an install. The allowed transitions are in the table
 * `bloud.status_transitions`.
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
