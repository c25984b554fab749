import { DISK_GUARDS } from './disk.ts'
import type { Guard } from './guard.ts'
import { HOST_GUARDS } from './host.ts'
import { HTTP_GUARDS } from './http.ts'
import { RELAY_GUARDS } from './relay.ts'
import { SQL_GUARDS } from './sql.ts'

export const GUARDS: readonly Guard[] = [
  ...SQL_GUARDS,
  ...HOST_GUARDS,
  ...DISK_GUARDS,
  ...HTTP_GUARDS,
  ...RELAY_GUARDS,
]
