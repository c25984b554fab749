import { setFlagsFromString } from 'node:v8'

/**
 * Keeps V8's space for young objects at the 1 MiB it begins with. It would grow to 48 MiB with the first crowd that
 * connects, and never give them back; what the relay makes for an event is dead a moment later.
 */
export function keepNurserySmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
