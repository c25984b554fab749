/** Statuses of an app. The table `bloud.status_transitions` contains the allowed changes. */
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
