/** The nine statuses of an app, in the order a person meets them. The legal moves are rows of
 *  `bloud.status_transitions`; nothing in TypeScript decides whether a move is legal. */
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
