/** The hosts, which run the apps. Code outside this folder imports only this file. */
import type { Host } from './contract.ts'
import { createLocalHost, type LocalHostOptions } from './local/host.ts'
import type { NixosHostOptions } from './nixos/host.ts'

export type * from './contract.ts'
export { HostError } from './hosterror.ts'

export interface HostConfig extends LocalHostOptions, NixosHostOptions {
  hostKind: 'local' | 'nixos'
}

/** Creates the host that the settings select. Loads the code for NixOS only on NixOS. */
export async function createHost(config: HostConfig): Promise<Host> {
  if (config.hostKind === 'local') return createLocalHost(config)
  const { createNixosHost } = await import('./nixos/host.ts')
  return createNixosHost(config)
}
