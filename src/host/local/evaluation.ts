/** Checks whether the local host (apps as child processes, without NixOS) can install the configured apps. */
import type { CatalogApp } from '../../domain/catalog.ts'
import type { RunFailure, WantedApp } from '../contract.ts'

const failure = (message: string): RunFailure => ({ class: 'evaluate', message, log: [] })

/** Name of the file in the folder of the apps' logs to which the embedded PostgreSQL writes. */
const SERVER_LOG = 'postgresql'

export function cannotInstall(app: CatalogApp): string | null {
  if (!app.npm) {
    const form = app.image ? 'is published as a container image' : 'is not published as an npm package'
    const local = "this machine's local host installs npm packages only"
    return `${app.displayName} ${form}; ${local}. It can be installed on a NixOS host.`
  }
  if (app.name === SERVER_LOG)
    return `An app can't be called ${app.name}: its log would be the log of the database server.`
  const { platforms } = app.npm
  if (platforms && !platforms.includes(process.platform)) {
    return `${app.displayName} runs on ${platforms.join(', ')} only; this machine is ${process.platform}.`
  }
  return null
}

/**
 * Returns the apps that can't be installed or whose port another app uses, with the reasons.
 * @param current names of the installed apps. An installed app keeps its port if a new app has the same port.
 */
export function evaluate(apps: WantedApp[], current: string[]): Record<string, RunFailure> {
  const failures: Record<string, RunFailure> = {}
  const ports = new Map<number, string>()
  const isCurrent = ({ name }: WantedApp) => Number(current.includes(name))
  const oldestFirst = apps.toSorted((a, b) => isCurrent(b) - isCurrent(a))
  for (const app of oldestFirst) {
    const reason = cannotInstall(app.catalog)
    const owner = ports.get(app.port)
    if (reason) failures[app.name] = failure(reason)
    else if (owner) failures[app.name] = failure(`Port ${app.port} is already used by ${owner}.`)
    else ports.set(app.port, app.name)
  }
  return failures
}
