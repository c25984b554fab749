/** Creates the host that the settings select. Code outside this folder imports only this file. */
import type { Host } from './contract.ts'
import { createLocalHost, type LocalHostOptions } from './local/host.ts'
import { createNixosHost, type NixosHostOptions } from './nixos/host.ts'

export type * from './contract.ts'
export { HostError } from './hosterror.ts'

export interface HostConfig extends LocalHostOptions, NixosHostOptions {
  hostKind: 'local' | 'nixos'
}

export function createHost(config: HostConfig): Host {
  return config.hostKind === 'nixos' ? createNixosHost(config) : createLocalHost(config)
}
