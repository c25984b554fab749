/**
 * Who may speak to the agent through a browser.
 *
 * There is no login yet: whoever reaches the port may install. A web page elsewhere must not, and it has two ways to
 * try: a name of its own that suddenly leads to this machine (DNS rebinding; the browser then takes it for our page),
 * and a plain request across origins. The first shows in `Host`, the second in `Origin`. An address written as numbers
 * can't be rebound, so the machine's own addresses are fine.
 */
import { hostname, networkInterfaces } from 'node:os'
import { Problem } from '../domain/problem.ts'

export interface GuardOptions {
  /** The address that is listened on. */
  listen: string
  /** Further names, lower case. */
  allowedHosts: readonly string[]
}

/** The headers that matter here; empty when absent. */
export interface GuardedHeaders {
  host: string
  origin: string
  secFetchSite: string
}

/** Milliseconds for which the machine's addresses are remembered; a new one comes with a new network. */
const ADDRESSES_FOR_MS = 10_000
const HOST = /^(?:[a-z0-9_](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i
const ANY_ADDRESS = new Set(['0.0.0.0', '[::]'])

/** `host[:port]` as a browser would write it for this scheme; undefined for what is not a host. */
function canonical(host: string, scheme: string): URL | undefined {
  if (!HOST.test(host)) return undefined
  const url = `${scheme}//${host}`
  return URL.canParse(url) ? new URL(url) : undefined
}

const bracketed = (address: string) => (address.includes(':') ? `[${address.replace(/%.*$/, '')}]` : address)

function ownAddresses(): Set<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return new Set(all.map(({ address }) => canonical(bracketed(address), 'http:')?.hostname ?? address))
}

function ownNames(): string[] {
  const name = hostname().toLowerCase()
  const short = name.replace(/\.local$/, '')
  return [name, `${short}.local`]
}

export function createGuard({ listen, allowedHosts }: GuardOptions) {
  const listenHost = canonical(bracketed(listen), 'http:')?.hostname ?? listen
  const names = new Set(['localhost', '127.0.0.1', '[::1]', listenHost, ...ownNames(), ...allowedHosts])
  let addresses = { are: new Set<string>(), until: 0 }

  function isOwnAddress(name: string): boolean {
    if (!ANY_ADDRESS.has(listenHost)) return false
    if (performance.now() > addresses.until) {
      addresses = { are: ownAddresses(), until: performance.now() + ADDRESSES_FOR_MS }
    }
    return addresses.are.has(name)
  }

  function checkHost(host: string): void {
    if (host === '') throw new Problem('invalid_request', 'The request names no host')
    const name = canonical(host, 'http:')?.hostname.replace(/\.$/, '')
    if (name !== undefined && (names.has(name) || isOwnAddress(name))) return
    throw new Problem('foreign_host', `This machine is not known as ${JSON.stringify(host.slice(0, 100))}`, {
      hint: 'If it should be, add the name to BLOUD_ALLOWED_HOSTS.',
    })
  }

  function checkOrigin(host: string, origin: string): void {
    if (origin === '') return
    const from = URL.canParse(origin) ? new URL(origin) : undefined
    const isWeb = from?.protocol === 'http:' || from?.protocol === 'https:'
    if (from && isWeb && canonical(host, from.protocol)?.host === from.host) return
    throw new Problem('foreign_origin', 'Requests from pages of another origin are refused')
  }

  return {
    /** @throws Problem when the request comes through a foreign name or from a foreign page. */
    check(method: string, headers: GuardedHeaders): void {
      checkHost(headers.host)
      checkOrigin(headers.host, headers.origin)
      // A request that changes something comes from our own page, from an address line, or from no browser at all.
      const site = headers.secFetchSite
      if (method === 'POST' && site !== '' && site !== 'same-origin' && site !== 'none') {
        throw new Problem('foreign_origin', 'Requests from pages of another site are refused')
      }
    },
  }
}
