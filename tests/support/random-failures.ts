/**
 * Runs rebuilds (changes of a simulated NixOS machine) while processes are killed at random moments.
 *
 * In each round operations on several apps are requested. The simulated nixos-rebuild kills PostgreSQL, the
 * orchestrator, the relay or all three of them. They are restarted, and the result must be the same as if no
 * process had been killed.
 */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { stringify } from 'yaml'
import { ROOT } from '../../src/config.ts'
import { nixosPaths, runPaths } from '../../src/host/nixos/paths.ts'
import { membersOf, readMark } from '../../src/system/processgroup.ts'
import { startProcess } from './agent.ts'
import { countLost, headOf, startClients } from './chaos.ts'
import { keepRunning, POLL_MS, ROUND_LIMIT_MS, startPostgres, withRetries } from './failing-machine.ts'
import { endMachine, image, machineSettings, makeMachine, writeScenario } from './nixos-host.ts'
import { settings } from './npmstart.ts'
import { freePort } from './port.ts'

const [APPS, CLIENTS, LINES, EVERY_MS] = [5, 5, 6, 12]
const VICTIMS = ['orchestrator', 'relay', 'postgres'] as const
const PHASES = ['evaluate', 'build', 'activate', 'over']
type Victim = (typeof VICTIMS)[number]
type Kind = 'install' | 'uninstall' | 'purge'

export interface Tally {
  rounds: number
  killed: Record<Victim, number>
  transitions: number
}

const EXPECTED: Record<Kind, string[]> = {
  install: ['queued', 'configuring', 'building', 'starting', 'running'],
  uninstall: ['stopping', 'stopped'],
  purge: ['stopping', '∅'],
}

/** Returns a random number generator (mulberry32). The same seed gives the same numbers. */
export function createRandom(seed: number) {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count: number) => Math.floor(next() * count)
  return { below, of: <T>(list: readonly T[]): T => list[below(list.length)] as T }
}

export async function startFailingMachine(seed: number) {
  const random = createRandom(seed)
  const dataDir = await mkdtemp(join(tmpdir(), 'bloud-failures-'))
  const catalogDir = join(dataDir, 'catalog')
  const paths = nixosPaths(join(dataDir, 'nixos'))
  await mkdir(catalogDir)
  await makeMachine(dataDir)
  const names = Array.from({ length: APPS }, (_, index) => `app-${index}`)
  for (const name of names)
    await writeFile(join(catalogDir, `${name}.yaml`), stringify(image(name, await freePort())))
  const postgres = await startPostgres(dataDir)
  const asAdmin = <T>(work: (client: pg.Client) => Promise<T>) => withRetries(postgres.urlOf(), work)
  const port = await freePort()
  const { profile, currentSystem, rebuild } = machineSettings(dataDir)
  const common = { BLOUD_DATA_DIR: dataDir, BLOUD_CATALOG_DIR: catalogDir, BLOUD_PORT: String(port) }
  const nixos = {
    BLOUD_HOST_KIND: 'nixos',
    BLOUD_NIXOS_PROFILE: profile,
    BLOUD_NIXOS_CURRENT_SYSTEM: currentSystem,
    BLOUD_NIXOS_REBUILD: rebuild ?? '',
  }
  const pidFiles: Record<Victim, string> = {
    orchestrator: join(dataDir, 'orchestrator.pid'),
    relay: join(dataDir, 'relay.pid'),
    postgres: postgres.pidFile,
  }
  const program = (name: 'orchestrator' | 'relay') => () =>
    startProcess(process.execPath, [join(ROOT, `src/main/${name}.ts`)], {
      env: settings({ ...common, ...nixos, DATABASE_URL: postgres.urlOf(`bloud_${name}`) }),
    })
  /**
   * Frees the lease (lock in the database that makes one orchestrator the active one) of a killed
   * orchestrator, because the lease would expire only after ten seconds.
   */
  const expireLease = () => asAdmin((client) => client.query('update bloud.lease set lease_until = null'))
  const orchestrator = keepRunning(pidFiles.orchestrator, program('orchestrator'), expireLease)
  const relay = keepRunning(pidFiles.relay, program('relay'), async () => undefined)
  const clients = startClients(port, CLIENTS)
  const tally: Tally = { rounds: 0, killed: { orchestrator: 0, relay: 0, postgres: 0 }, transitions: 0 }

  async function untilTrue(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
    const end = Date.now() + ROUND_LIMIT_MS
    while (!(await check())) {
      if (Date.now() > end)
        throw new Error(`not within ${ROUND_LIMIT_MS / 1000} s: ${what}\n${orchestrator.output()}`)
      await sleep(POLL_MS)
    }
  }

  async function planKills(): Promise<object[]> {
    const victims = random.below(5) === 0 ? [...VICTIMS] : [random.of(VICTIMS)]
    return victims.map((victim) => {
      tally.killed[victim] += 1
      const signal = victim === 'postgres' ? random.of(['SIGKILL', 'SIGINT', 'SIGQUIT']) : 'SIGKILL'
      return { at: random.of(PHASES), line: random.below(LINES + 1), pidFiles: [pidFiles[victim]], signal }
    })
  }

  async function planWork(): Promise<Map<string, Kind>> {
    const { rows } = await asAdmin((client) =>
      client.query("select name from bloud.apps where status = 'running'"),
    )
    const running = new Set(rows.map(({ name }) => name))
    const chosen = new Set(Array.from({ length: 1 + random.below(3) }, () => random.of(names)))
    return new Map(
      [...chosen].map((name) => [
        name,
        running.has(name) ? random.of(['uninstall', 'purge'] as const) : 'install',
      ]),
    )
  }

  /** Requests all operations in one transaction, because they must all be in the same rebuild. */
  const request = (work: Map<string, Kind>) =>
    asAdmin(async (client) => {
      const calls = [...work].map(([name, kind]) =>
        kind === 'install'
          ? `select bloud.install('${name}')`
          : `select bloud.uninstall('${name}', ${kind === 'purge' ? `'${name}'` : 'null'})`,
      )
      await client.query(['begin', ...calls, 'commit'].join(';'))
    })

  const ended = (from: number) =>
    asAdmin(async (client) => {
      const { rows } = await client.query(
        "select id from bloud.operations where id > $1 and state in ('queued', 'active')",
        [from],
      )
      return rows.length === 0
    })

  const lastOf = (table: string) =>
    asAdmin(async (client) =>
      Number((await client.query(`select coalesce(max(id), 0) as id from bloud.${table}`)).rows[0].id),
    )

  async function checkLog(client: pg.Client, rebuild: string): Promise<void> {
    const text = 'select line from bloud.rebuild_log where rebuild_id = $1 order by line_no'
    const { rows } = await client.query(text, [rebuild])
    const key = await client.query('select run_key from bloud.rebuilds where id = $1', [rebuild])
    const log = await readFile(runPaths(paths, `${rebuild}-1-${key.rows[0].run_key}`).log, 'utf8')
    assert.deepEqual(
      rows.map(({ line }) => line),
      log.split('\n').slice(0, -1),
      'each line of the log is stored once',
    )
  }

  async function checkRound(
    work: Map<string, Kind>,
    before: { seq: number; operation: number; rebuild: number },
  ) {
    await asAdmin(async (client) => {
      const { rows: events } = await client.query(
        "select app, coalesce(to_status, '∅') as status, cause from bloud.events where seq > $1 order by seq",
        [before.seq],
      )
      const causes = events.flatMap(({ cause }) => cause ?? [])
      const byApp = Object.groupBy(events, ({ app }) => app)
      const actual = [...Object.entries(byApp)].map(([app, list = []]) => [
        app,
        list.map(({ status }) => status),
      ])
      const expected = [...work].map(([app, kind]) => [app, EXPECTED[kind]])
      assert.deepEqual(
        Object.fromEntries(actual),
        Object.fromEntries(expected),
        `each app has exactly the expected transitions; causes: ${JSON.stringify(causes)}`,
      )
      tally.transitions += events.length
      const { rows: operations } = await client.query(
        'select distinct state from bloud.operations where id > $1',
        [before.operation],
      )
      assert.deepEqual(operations, [{ state: 'succeeded' }])
      const { rows: rebuilds } = await client.query(
        'select id, run, state from bloud.rebuilds where id > $1',
        [before.rebuild],
      )
      assert.deepEqual(
        rebuilds.map(({ run, state }) => [run, state]),
        [[1, 'succeeded']],
        'one rebuild, one run',
      )
      await checkLog(client, rebuilds[0].id)
      assert.deepEqual((await client.query('select * from bloud.check_invariants()')).rows, [])
    })
  }

  async function round(): Promise<void> {
    const work = await planWork()
    const before = {
      seq: await asAdmin(headOf),
      operation: await lastOf('operations'),
      rebuild: await lastOf('rebuilds'),
    }
    const kill = await planKills()
    const plan = JSON.stringify({ round: tally.rounds, work: [...work], kill })
    try {
      await writeScenario(dataDir, { lines: LINES, everyMs: EVERY_MS, kill })
      await request(work)
      await untilTrue('all operations end', () => ended(before.operation))
      await checkRound(work, before)
    } catch (error) {
      throw new Error(`seed ${seed}, ${plan}: ${(error as Error).message}`, { cause: error })
    }
    tally.rounds += 1
  }

  async function checkWhole(): Promise<void> {
    const head = await asAdmin(headOf)
    await untilTrue('all clients catch up', () => clients.behind(head) === 0)
    const { reordered, resets } = clients.tally
    const lost = await asAdmin((client) => countLost(client, clients.tally))
    assert.deepEqual({ lost, reordered, resets }, { lost: 0, reordered: 0, resets: 0 }, `seed ${seed}`)
    const starts = (await readFile(join(dataDir, 'machine/starts'), 'utf8')).trim().split('\n')
    assert.deepEqual(
      [starts.length, new Set(starts).size],
      [tally.rounds, tally.rounds],
      'no switch is started twice',
    )
    const mark = `${await readMark(paths.mark)}/rebuild`
    await untilTrue(
      'no process of a rebuild is left',
      async () => (await membersOf({ marks: [mark] })).length === 0,
    )
  }

  return {
    async runRounds(rounds: number): Promise<Tally> {
      await untilTrue('the catalog is read', () =>
        asAdmin(async (client) => (await client.query('select from bloud.catalog_cache')).rowCount === APPS),
      )
      await untilTrue('all clients are connected', () => clients.behind(0) === 0)
      for (let done = 0; done < rounds; done++) await round()
      await checkWhole()
      return tally
    },
    async stop(): Promise<void> {
      clients.stop()
      await Promise.all([orchestrator.stop(), relay.stop()])
      await postgres.stop()
      await endMachine(dataDir)
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
