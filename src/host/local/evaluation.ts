/** Checks a whole configuration before anything is installed, and says for each app what is wrong with it. */
import type { CatalogApp } from '../../domain/catalog.ts'
import type { RunFailure, WantedApp } from '../contract.ts'

const failure = (message: string): RunFailure => ({ class: 'evaluate', message, log: [] })

/** Why this app can't be installed on this machine, as a sentence; null if it can. */
export function cannotInstall(app: CatalogApp): string | null {
  if (!app.npm) {
    const form = app.image ? 'is published as a container image' : 'is not published as an npm package'
    const local = "this machine's local host installs npm packages only"
    return `${app.displayName} ${form}; ${local}. It can be installed on a NixOS host.`
  }
  const { platforms } = app.npm
  if (platforms && !platforms.includes(process.platform)) {
    return `${app.displayName} runs on ${platforms.join(', ')} only; this machine is ${process.platform}.`
  }
  return null
}

/** @param on names of the apps of the current generation: of two that want one port, the newcomer is to blame. */
export function evaluate(apps: WantedApp[], on: string[]): Record<string, RunFailure> {
  const failures: Record<string, RunFailure> = {}
  const ports = new Map<number, string>()
  const oldestFirst = apps.toSorted((a, b) => Number(on.includes(b.name)) - Number(on.includes(a.name)))
  for (const app of oldestFirst) {
    const reason = cannotInstall(app.catalog)
    const owner = ports.get(app.port)
    if (reason) failures[app.name] = failure(reason)
    else if (owner) failures[app.name] = failure(`Port ${app.port} is already used by ${owner}.`)
    else ports.set(app.port, app.name)
  }
  return failures
}
