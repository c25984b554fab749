/**
 * Cuts the power of a home server at random moments: `node scripts/powercut.ts [--rounds=50] [--seed=1]`.
 *
 * The data directory of the agent is on an ext4 file system of its own (a file as loop device). Each round
 * cuts the power during the first start, an install, a second install, a purge, a backup or an uninstall,
 * mounts the file system again, and starts the agent. An app is broken if it was running and does not run
 * again by itself, or if it can't be installed. An installation is dead if its agent does not become ready.
 * Prints JSON, and exits with 1 if anything was broken. Needs root and loop devices, or else exits with 2.
 */
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { installedClients } from '../src/postgres/clientprograms.ts'
import { run } from '../src/system/childprocess.ts'
import { createDisk, isInside, powerCutObstacle, startInside } from '../tests/support/powercut.ts'
import { createPowerCutHome } from '../tests/support/powercut-home.ts'
import { option } from './option.ts'

const PHASES = ['first start', 'install', 'reinstall', 'purge', 'backup', 'uninstall'] as const
type Phase = (typeof PHASES)[number]

const DISK_MEGABYTES = 2_048
/** Time in ms after the end of a phase in which the power may still be cut. ext4 commits every 5 s. */
const AFTER_MS = 7_000
/** First guess of the duration of each phase in ms, until the phase was measured. */
const FIRST_GUESS_MS = 8_000
const RESTORE_LIMIT_MS = 60_000
/** This app is never changed by a phase, so it must run after each cut. */
const STEADY = 'steady'
const CHANGED = 'changed'

const obstacle = powerCutObstacle()
if (obstacle) {
  console.log(`No power was cut: ${obstacle}.`)
  process.exit(2)
}
if (!isInside()) {
  const top = await mkdtemp(join(tmpdir(), 'bloud-powercut-'))
  const program = startInside(import.meta.filename, [...process.argv.slice(2), `--top=${top}`])
  program.child.stdout?.pipe(process.stdout)
  program.child.stderr?.pipe(process.stderr)
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => program.child.kill('SIGKILL'))
  const code = await program.ended
  await rm(top, { recursive: true, force: true })
  process.exit(code ?? 1)
}

const [rounds, seed] = [option('rounds', 50), option('seed', Date.now() % 100_000)]
const top = process.argv.find((arg) => arg.startsWith('--top='))?.slice('--top='.length) ?? ''
await chmod(top, 0o755) // Apps may run as another user, who reads the packages.
const disk = createDisk(top, DISK_MEGABYTES)
const home = await createPowerCutHome(top, disk, [STEADY, CHANGED])
const client = (await installedClients(process.env)).at(-1)
const phases = PHASES.filter((phase) => phase !== 'backup' || client)
const cuts: Partial<Record<Phase, number>> = {}
const durations = new Map<Phase, number>()
let [brokenApps, deadInstallations, state] = [0, 0, seed]
/** True after the power was cut: the interrupted work must make no further requests. */
let isOver = false

/** Returns a number from 0 to 1 (mulberry32), so that a seed gives the same moments again. */
function random(): number {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

async function breakApp(app: string, phase: Phase, why: string): Promise<void> {
  brokenApps += 1
  console.error(`${phase}: ${why}\n${await home.describe(app)}`)
}

const uninstall = async (purge: boolean) => {
  if (isOver) return
  const named = purge && (await home.post(CHANGED, 'uninstall', { purge: CHANGED }))
  if (!named) await home.post(CHANGED, 'uninstall', { purge })
  await home.settled(CHANGED)
}

const install = async () => {
  if (isOver) return
  await home.post(CHANGED, 'install')
  await home.settled(CHANGED)
}

const WORK: Record<Phase, () => Promise<unknown>> = {
  'first start': async () => home.start(),
  install,
  reinstall: async () => {
    await uninstall(false)
    await install()
  },
  purge: () => uninstall(true),
  backup: async () => home.backup().ended,
  uninstall: () => uninstall(false),
}

/** Brings the home into the state in which the phase can begin. */
async function prepare(phase: Phase): Promise<void> {
  isOver = false
  if (phase === 'first start') {
    await disk.format()
    return
  }
  if ((await home.status(STEADY)) === 'absent') await home.post(STEADY, 'install')
  if (!(await home.isRunning(STEADY))) await breakApp(STEADY, phase, 'it can not be installed')
  const present = (await home.settled(CHANGED)) === 'running'
  if (phase === 'install' && present) await uninstall(true)
  if (phase !== 'install' && !present) {
    await install()
    if (!(await home.isRunning(CHANGED))) await breakApp(CHANGED, phase, 'it can not be installed')
  }
}

/** Begins the work of the phase and cuts the power at a random moment of it, or shortly afterwards. */
async function cutDuring(phase: Phase): Promise<void> {
  const begin = performance.now()
  const moment = random() * ((durations.get(phase) ?? FIRST_GUESS_MS) + AFTER_MS)
  isOver = false
  const work = WORK[phase]().then(() => {
    if (!isOver) durations.set(phase, performance.now() - begin)
  })
  work.catch(() => undefined)
  await sleep(moment)
  isOver = true
  await disk.cutPower()
  cuts[phase] = (cuts[phase] ?? 0) + 1
}

async function check(phase: Phase, before: string[]): Promise<void> {
  if (!(await home.start())) {
    deadInstallations += 1
    console.error(`${phase}: the agent is not ready\n${await home.describe(STEADY)}`)
    return prepareAnew()
  }
  for (const app of before) {
    if (!(await home.isRunning(app))) await breakApp(app, phase, 'it ran before the cut and does not run')
  }
  const settled = await home.settled(CHANGED)
  if (settled === 'running') {
    if (!(await home.isRunning(CHANGED))) await breakApp(CHANGED, phase, 'it does not answer')
  } else if (settled === 'failed' || settled === 'error') {
    await home.post(CHANGED, 'retry')
    if (!(await home.isRunning(CHANGED)))
      await breakApp(CHANGED, phase, `${settled}, and a retry did not help`)
  } else if (settled !== 'absent' && settled !== 'stopped') await breakApp(CHANGED, phase, settled)
  else if (phase === 'purge' && settled === 'absent' && (await home.hasData(CHANGED)))
    await breakApp(CHANGED, phase, 'its deleted data came back')
  await checkBackups(phase)
}

async function prepareAnew(): Promise<void> {
  await disk.cutPower()
  await disk.unmount()
  await disk.format()
  await home.start()
}

async function checkBackups(phase: Phase): Promise<void> {
  const folder = join(home.dataDir, 'backups')
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.dump'))
  for (const file of client ? files : []) {
    const args = ['--list', join(folder, file)]
    const { code } = await run(join(client?.directory ?? '', 'pg_restore'), args, {
      limitMs: RESTORE_LIMIT_MS,
    })
    if (code !== 0) await breakApp(STEADY, phase, `the backup ${file} is damaged`)
  }
}

await disk.format()
for (let round = 0; round < rounds; round += 1) {
  const phase = phases[round % phases.length] as Phase
  const begin = performance.now()
  if (phase === 'first start') {
    await disk.cutPower()
    await disk.unmount()
  }
  await prepare(phase)
  const before = phase === 'first start' ? [] : [STEADY]
  if (phase === 'backup') before.push(CHANGED)
  await cutDuring(phase)
  await check(phase, before)
  const seconds = ((performance.now() - begin) / 1000).toFixed(0)
  console.error(`round ${round + 1} of ${rounds}: ${phase}, ${seconds} s`)
}
await disk.cutPower()
await disk.unmount()
console.log(JSON.stringify({ rounds, seed, brokenApps, deadInstallations, cuts }))
process.exit(brokenApps + deadInstallations > 0 ? 1 : 0)
