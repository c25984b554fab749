/**
 * Time in milliseconds after which a statement that waits for a lock fails. The wait for a row has two parts,
 * a queue and the lock itself, and both together are shorter than the relay's limit of a query (7 s).
 */
const LOCK_TIMEOUT_MS = 3_000

/**
 * Returns the database URL with the settings of the agent's sessions: time zone, lock timeout and name. The
 * name appears as application_name in pg_stat_activity.
 */
export function sessionUrl(url: string, name: string): string {
  const parsed = parse(url)
  addOptions(parsed, '-c timezone=UTC', `-c lock_timeout=${LOCK_TIMEOUT_MS}`)
  parsed.searchParams.set('application_name', name)
  return write(parsed)
}

/**
 * Returns the database URL for a session with the rights of the PostgreSQL role `role`. The login must be a
 * member of that role.
 */
export function urlAsRole(url: string, role: string): string {
  const parsed = parse(url)
  addOptions(parsed, `-c role=${role}`)
  return write(parsed)
}

/** Returns the database URL after a change of its parameters. */
export function changedUrl(url: string, change: (params: URLSearchParams) => void): string {
  const parsed = parse(url)
  change(parsed.searchParams)
  return write(parsed)
}

/** Returns the database URL with this password. A password in the URL is kept. */
export function urlWithPassword(url: string, password: string): string {
  const parsed = parse(url)
  parsed.password ||= encodeURIComponent(password)
  return write(parsed)
}

/**
 * Parses a database URL. If the URL contains the folder of a Unix socket, for example
 * `postgresql:///db?host=/run/postgresql&user=me`, rewrites it to `postgresql://me@%2Frun%2Fpostgresql/db`,
 * because psql, slonik and pg all accept this form.
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

/**
 * Returns the URL as text. Replaces `+` by `%20`, because the class `URL` writes a space in the query as `+`
 * and pg does not decode `+`.
 */
function write(url: URL): string {
  const search = url.search.replaceAll('+', '%20')
  return `${url.href.slice(0, url.href.length - url.search.length)}${search}`
}
