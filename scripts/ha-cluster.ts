/**
 * Starts a cluster for scripts/ha.ts in a temporary folder: etcd, two PostgreSQL servers with a Patroni each,
 * and HAProxy, whose port leads to the present primary.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { statePaths } from '../src/host/local/paths.ts'
import { killGroup, readMark } from '../src/system/processgroup.ts'

const APT = 'apt-get install patroni etcd-server haproxy postgresql-15'
const SERVERS = '/usr/lib/postgresql'
export const PASSWORD = 'ha'
/** Time in seconds after which the lock of a dead primary ends. 20 is the least that Patroni accepts. */
const TTL_S = 20
const READY_LIMIT_MS = 120_000
const POLL_MS = 10

export interface Node {
  name: string
  port: number
  api: number
  dir: string
  patroni: ChildProcess | null
}

/**
 * Returns the folder of PostgreSQL's programs.
 * @throws Error with the apt command if a program is missing.
 */
function findPrograms(): string {
  const versions = existsSync(SERVERS)
    ? readdirSync(SERVERS)
        .map(Number)
        .sort((a, b) => b - a)
    : []
  const bin = versions
    .map((version) => join(SERVERS, String(version), 'bin'))
    .find((dir) => existsSync(join(dir, 'postgres')))
  const missing = ['patroni', 'etcd', 'haproxy'].filter((name) => !isProgram(name))
  if (!bin || missing.length > 0)
    throw new Error(`${[...missing, ...(bin ? [] : ['postgres'])].join(', ')} not found: ${APT}`)
  return bin
}

const isProgram = (name: string) =>
  [...(process.env.PATH ?? '').split(':'), '/usr/sbin'].some((dir) => existsSync(join(dir, name)))

/** Returns the user that runs all programs. PostgreSQL refuses to run as root. */
function findUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Returns the configuration of Patroni as JSON, which is valid YAML. */
function patroniConfig(node: Node, etcd: number, bin: string, root: string, synchronous: boolean): string {
  const login = (username: string) => ({ username, password: PASSWORD })
  return JSON.stringify({
    scope: 'bloud',
    name: node.name,
    restapi: { listen: `127.0.0.1:${node.api}`, connect_address: `127.0.0.1:${node.api}` },
    etcd3: { hosts: [`127.0.0.1:${etcd}`] },
    bootstrap: {
      dcs: {
        ttl: TTL_S,
        loop_wait: 1,
        retry_timeout: 3,
        synchronous_mode: synchronous,
        // A primary whose PostgreSQL has died hands over at once instead of starting it again.
        primary_start_timeout: 0,
        postgresql: { use_pg_rewind: true, parameters: { max_connections: 100 } },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C.UTF-8' }, 'data-checksums'],
      pg_hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
    },
    postgresql: {
      listen: `127.0.0.1:${node.port}`,
      connect_address: `127.0.0.1:${node.port}`,
      data_dir: node.dir,
      bin_dir: bin,
      pgpass: join(root, `${node.name}.pgpass`),
      authentication: {
        superuser: login('postgres'),
        replication: login('replicator'),
        rewind: login('rewind'),
      },
      parameters: { unix_socket_directories: root },
    },
  })
}

const haproxyConfig = (port: number, nodes: Node[]): string => `
defaults
  mode tcp
  # The agent retries by itself, and HAProxy would wait 1 s before each of its retries.
  retries 0
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 2s
listen postgres
  bind 127.0.0.1:${port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
${nodes.map(({ name, port, api }) => `  server ${name} 127.0.0.1:${port} check port ${api}`).join('\n')}
`

/** Returns the processes of a PostgreSQL server that runs: the postmaster and its children. */
function serverProcesses(dir: string): number[] {
  const file = join(dir, 'postmaster.pid')
  if (!existsSync(file)) return []
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  const children = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(children)) return []
  return [pid, ...readFileSync(children, 'utf8').split(' ').filter(Boolean).map(Number)]
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {} // The process has ended already.
}

/** Runs SQL on one node, not through HAProxy. Returns the first row, or null if the node does not answer. */
export async function queryNode(node: Node, text: string, database = 'postgres') {
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${node.port}/${database}`
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query(text)).rows[0] ?? null
  } catch {
    return null
  } finally {
    await client.end().catch(() => undefined)
  }
}

export async function poll<T>(
  what: string,
  check: () => Promise<T | null>,
  limitMs = READY_LIMIT_MS,
): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    const found = await check()
    if (found !== null) return found
    if (performance.now() > end) throw new Error(`Did not happen within ${limitMs / 1000} s: ${what}`)
    await sleep(POLL_MS)
  }
}

export type Cluster = Awaited<ReturnType<typeof startCluster>>

export async function startCluster(synchronous: boolean) {
  const [bin, user] = [findPrograms(), findUser()]
  const root = mkdtempSync(join(tmpdir(), 'bloud-ha-'))
  const children: ChildProcess[] = []
  const own = (path: string) => user && chownSync(path, user.uid, user.gid)
  own(root)
  const [etcd = 0, peer = 0, proxy = 0, ...rest] = await freePorts(7)
  const nodes = [1, 2].map((number, index): Node => {
    const [port = 0, api = 0] = rest.slice(index * 2)
    return { name: `node${number}`, port, api, dir: join(root, `node${number}`), patroni: null }
  })

  function write(name: string, text: string): string {
    writeFileSync(join(root, name), text)
    own(join(root, name))
    return join(root, name)
  }

  /** Starts a program in a process group of its own, with its output in a file of the folder. */
  function run(name: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const log = openSync(join(root, `${name}.log`), 'a')
    const PATH = `${process.env.PATH}:/usr/sbin`
    const child = spawn(command, args, {
      ...user,
      cwd: root,
      env: { PATH, HOME: root, LANG: 'C.UTF-8', ...env },
      detached: true,
      stdio: ['ignore', log, log],
    })
    children.push(child)
    return child
  }

  function startPatroni(node: Node): void {
    const file = write(`${node.name}.json`, patroniConfig(node, etcd, bin, root, synchronous))
    node.patroni = run(node.name, 'patroni', [file])
  }

  async function members(): Promise<{ name: string; role: string; state: string }[]> {
    for (const { api } of nodes) {
      const reply = await fetch(`http://127.0.0.1:${api}/cluster`, {
        signal: AbortSignal.timeout(2_000),
      }).catch(() => null)
      if (reply?.ok) return ((await reply.json()) as { members: never[] }).members
    }
    return []
  }

  /** Waits until one node is the primary and the other is its standby, a synchronous one if that is set. */
  function ready(): Promise<{ primary: Node; standby: Node }> {
    return poll(`a primary and a standby in ${root}`, async () => {
      const all = await members()
      const find = (...roles: string[]) => {
        const found = all.find(
          ({ role, state }) => roles.includes(role) && /^(running|streaming)$/.test(state),
        )
        return nodes.find(({ name }) => name === found?.name)
      }
      const [primary, standby] = [find('leader'), find(synchronous ? 'sync_standby' : 'replica')]
      if (!primary || !standby) return null
      const streams = "select count(*) as n from pg_stat_replication where state = 'streaming'"
      return Number((await queryNode(primary, streams))?.n) > 0 ? { primary, standby } : null
    })
  }

  /** Kills PostgreSQL on a node, and with `machine` Patroni too, as a power failure of the machine does. */
  function crash(node: Node, machine: boolean): void {
    if (machine && node.patroni?.pid) kill(-node.patroni.pid, 'SIGKILL')
    for (const pid of serverProcesses(node.dir)) kill(pid, 'SIGKILL')
  }

  /** Ends all processes, those that the local host started for apps included, and deletes the folder. */
  async function stop(): Promise<void> {
    for (const { pid } of children) if (pid) kill(-pid, 'SIGKILL')
    const { mark } = statePaths(join(root, 'data', 'host'))
    if (existsSync(mark)) await killGroup({ marks: [await readMark(mark)] })
    for (const node of nodes) for (const pid of serverProcesses(node.dir)) kill(pid, 'SIGKILL')
    rmSync(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }

  run('etcd', 'etcd', etcdArguments(join(root, 'etcd'), etcd, peer))
  for (const node of nodes) startPatroni(node)
  run('haproxy', 'haproxy', ['-db', '-f', write('haproxy.cfg', haproxyConfig(proxy, nodes))])
  const url = (database: string, login = 'postgres') =>
    `postgres://${login}:${PASSWORD}@127.0.0.1:${proxy}/${database}`
  return { root, nodes, url, run, ready, crash, startPatroni, makeDirectory, stop }

  function makeDirectory(name: string): string {
    mkdirSync(join(root, name), { recursive: true })
    own(join(root, name))
    return join(root, name)
  }
}

function etcdArguments(dir: string, port: number, peer: number): string[] {
  const [client, other] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peer}`]
  return [
    ...['--name', 'one', '--data-dir', dir, '--initial-cluster', `one=${other}`],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', other, '--initial-advertise-peer-urls', other],
  ]
}
