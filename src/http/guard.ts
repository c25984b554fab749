/**
 * Refuses HTTP requests that a browser sends for another site's web page. The agent has no login, so such a
 * request could install or uninstall apps.
 *
 * `Host` must be a name or an address of this machine. A foreign site can let its own name resolve to this
 * machine (DNS rebinding), and the browser would then treat the foreign page as the agent's own page.
 *
 * `Origin` must be the agent's own origin. The browser sets this header to the site whose page sends a
 * request.
 */
import { hostname, networkInterfaces } from 'node:os'
import { Problem } from '../domain/problem.ts'

export interface GuardOptions {
  listen: string
  /**
   * Additional host names, in lower case, that the header `Host` may contain. The machine's own names are
   * always allowed.
   */
  allowedHosts: readonly string[]
}

/** Headers that are checked. An absent header is an empty string. */
export interface GuardedHeaders {
  host: string
  origin: string
  secFetchSite: string
}

/**
 * Time in milliseconds for which the list of the machine's addresses is cached. The list is read again,
 * because the addresses change when the machine joins another network.
 */
const ADDRESS_CACHE_MS = 10_000
const HOST = /^(?:[a-z0-9_](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i
const PROXY_HINT =
  "A reverse proxy must send the browser's Host header unchanged (nginx: proxy_set_header Host $http_host;): " +
  'docs/reverse-proxy.md.'
const ANY_ADDRESS = new Set(['0.0.0.0', '[::]'])

/**
 * Parses a host name with an optional port and normalizes it like a browser, for example to lower case.
 * Returns undefined if `host` is invalid.
 */
function canonical(host: string, scheme: string): URL | undefined {
  if (!HOST.test(host)) return undefined
  const url = `${scheme}//${host}`
  return URL.canParse(url) ? new URL(url) : undefined
}

const quoted = (text: string) => JSON.stringify(text.slice(0, 100))

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
  let cache = { addresses: new Set<string>(), expiresAt: 0 }

  function isOwnAddress(name: string): boolean {
    if (!ANY_ADDRESS.has(listenHost)) return false
    if (performance.now() > cache.expiresAt) {
      cache = { addresses: ownAddresses(), expiresAt: performance.now() + ADDRESS_CACHE_MS }
    }
    return cache.addresses.has(name)
  }

  function checkHost(host: string): void {
    if (host === '') throw new Problem('invalid_request', 'The HTTP request has no Host header')
    const name = canonical(host, 'http:')?.hostname.replace(/\.$/, '')
    if (name !== undefined && (names.has(name) || isOwnAddress(name))) return
    throw new Problem('foreign_host', `${quoted(host)} is not a name of this machine`, {
      hint: `If it is one, add it to BLOUD_ALLOWED_HOSTS. ${PROXY_HINT}`,
    })
  }

  function checkOrigin(host: string, origin: string): void {
    if (origin === '') return
    const from = URL.canParse(origin) ? new URL(origin) : undefined
    const isWeb = from?.protocol === 'http:' || from?.protocol === 'https:'
    if (from && isWeb && canonical(host, from.protocol)?.host === from.host) return
    throw new Problem('foreign_origin', 'HTTP requests from web pages of another origin are refused', {
      detail: `Origin is ${quoted(origin)}, but Host is ${quoted(host)}.`,
      hint: `Use the agent's own page, or send the HTTP request without the Origin header. ${PROXY_HINT}`,
    })
  }

  return {
    /** @throws Problem foreign_host, foreign_origin or invalid_request. */
    check(method: string, headers: GuardedHeaders): void {
      checkHost(headers.host)
      checkOrigin(headers.host, headers.origin)
      // `Sec-Fetch-Site: same-origin` means a request of the agent's own page, and `none` means a URL that
      // the user entered. Clients that are not browsers do not send this header.
      const site = headers.secFetchSite
      if (method === 'POST' && site !== '' && site !== 'same-origin' && site !== 'none') {
        throw new Problem('foreign_origin', 'POST requests from web pages of another site are refused', {
          hint: "Use the agent's own page.",
        })
      }
    },
  }
}
