/** How long a statement waits for a lock, e.g. one that somebody holds in an open transaction in psql. */
const LOCK_TIMEOUT_MS = 5_000

/** The URL with the settings every session of the agent has; `name` is shown in pg_stat_activity. */
export function sessionUrl(url: string, name: string): string {
  const parsed = parse(url)
  addOptions(parsed, '-c timezone=UTC', `-c lock_timeout=${LOCK_TIMEOUT_MS}`)
  parsed.searchParams.set('application_name', name)
  return write(parsed)
}

/** The same database, entered as `role` by a login that may assume it. */
export function urlAsRole(url: string, role: string): string {
  const parsed = parse(url)
  addOptions(parsed, `-c role=${role}`)
  return write(parsed)
}

/**
 * A socket is a directory in place of a host: `postgresql:///db?host=/run/postgresql&user=me` for psql. slonik and pg
 * agree on another spelling that psql knows too: `postgresql://me@%2Frun%2Fpostgresql/db`.
 */
function parse(url: string): URL {
  const parsed = new URL(url)
  const host = parsed.searchParams.get('host')
  if (parsed.host || !host) return parsed
  const user = parsed.searchParams.get('user')
  parsed.searchParams.delete('host')
  parsed.searchParams.delete('user')
  const login = user ? `${encodeURIComponent(user)}@` : ''
  return new URL(`${parsed.protocol}//${login}${encodeURIComponent(host)}${parsed.pathname}${parsed.search}`)
}

function addOptions(url: URL, ...more: string[]): void {
  const options = [url.searchParams.get('options'), ...more].filter(Boolean).join(' ')
  url.searchParams.set('options', options)
}

/** A blank is written as `+` by URL, which PostgreSQL does not know. A plus elsewhere, as in a password, is a plus. */
function write(url: URL): string {
  const search = url.search.replaceAll('+', '%20')
  return `${url.href.slice(0, url.href.length - url.search.length)}${search}`
}
