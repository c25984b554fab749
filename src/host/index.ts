/**
 * Creates the host of the configured kind. Code outside this folder uses only the interface in contract.ts.
 */
import type { Host } from './contract.ts'
import { createLocalHost, type LocalHostOptions } from './local/host.ts'
import { createNixosHost, type NixosHostOptions } from './nixos/host.ts'

export type * from './contract.ts'

export interface HostConfig extends LocalHostOptions, NixosHostOptions {
  hostKind: 'local' | 'nixos'
}

export function createHost(config: HostConfig): Host {
  return config.hostKind === 'nixos' ? createNixosHost(config) : createLocalHost(config)
}
