/**
 * Benchmark of an agent that has nothing to do: memory, and per second the syncs of the disk, the wake-ups,
 * the processor time and the bytes written, without apps and with twenty apps that run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { option } from '../option.ts'
import { type BenchAgent, makeFolders, startAgent } from './agent.ts'
import { FOLDER } from './process.ts'
import { byKind, processTree, pssOf, type Use, useOf } from './processtree.ts'
import { report } from './report.ts'

const [seconds, apps, settle] = [option('seconds', 120), option('apps', 20), option('settle', 40)]
const SYNCS = ['fsync', 'fdatasync', 'sync_file_range', 'msync', 'syncfs', 'sync']
const WRITES = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2']
const DAY = 86_400
const MB = 1e6

interface Disk {
  syncs: number
  written: number
}

/** Returns the syncs, and the bytes that were written to files, from the output of strace for one process. */
function diskUse(trace: string): Disk {
  const found = { syncs: 0, written: 0 }
  for (const line of trace.split('\n')) {
    const call = /^(?:<\.\.\. )?(\w+)/.exec(line)?.[1] ?? ''
    if (SYNCS.includes(call) && line.includes('(')) found.syncs += 1
    // The kernel's count of written bytes is useless here: it counts a change of one byte as up to 2 MB.
    const bytes = /^\w+\(\d+<\/(?!proc|dev|sys)[^>]*>.* = (\d+)/.exec(line)?.[1]
    if (WRITES.includes(call) && bytes) found.written += Number(bytes)
  }
  return found
}

/** Counts the system calls that write files or sync the disk. strace makes processes wake up more often. */
async function traceDisk(pids: number[]): Promise<Map<number, Disk>> {
  const file = join(FOLDER, `syncs-${process.pid}`)
  const calls = `trace=${[...SYNCS, ...WRITES]}`
  const args = [
    '-ff',
    '-y',
    '-q',
    '-s',
    '0',
    '-e',
    calls,
    '-o',
    file,
    ...pids.flatMap((pid) => ['-p', `${pid}`]),
  ]
  const strace = spawn('strace', args, { stdio: 'ignore' })
  await once(strace, 'spawn')
  await sleep(seconds * 1000)
  strace.kill('SIGINT')
  await once(strace, 'exit')
  const use = new Map(pids.map((pid) => [pid, { syncs: 0, written: 0 }]))
  for (const name of readdirSync(FOLDER).filter((each) => each.startsWith(`syncs-${process.pid}.`))) {
    const path = join(FOLDER, name)
    const owner = ownerOf(Number(name.split('.').at(-1)), pids)
    const found = diskUse(readFileSync(path, 'utf8'))
    const sum = use.get(owner)
    if (sum) Object.assign(sum, { syncs: sum.syncs + found.syncs, written: sum.written + found.written })
    rmSync(path)
  }
  return use
}

/** Returns the process of a thread, or the first process for one that has ended, such as a child process. */
const ownerOf = (thread: number, pids: number[]): number =>
  pids.find((pid) => existsSync(`/proc/${pid}/task/${thread}`)) ?? pids[0] ?? 0

async function measure(agent: BenchAgent) {
  const all = processTree(agent.pid, agent.dataDir)
  const [tree, begin] = [all.filter(({ kind }) => kind !== 'app'), performance.now()]
  const before = new Map(tree.map(({ pid }) => [pid, useOf(pid)]))
  await sleep(seconds * 1000)
  const elapsed = (performance.now() - begin) / 1000
  const grown = (name: keyof Use) =>
    byKind(tree, (pid) => Math.max(0, useOf(pid)[name] - (before.get(pid)?.[name] ?? 0)) / elapsed)
  const [wakeups, cpu] = [grown('wakeups'), grown('cpu')]
  const pss = byKind(tree, pssOf)
  const disk = await traceDisk(tree.map(({ pid }) => pid))
  const perSecond = (name: keyof Disk) => byKind(tree, (pid) => (disk.get(pid)?.[name] ?? 0) / seconds)
  return { pss, wakeups, cpu, written: perSecond('written'), syncs: perSecond('syncs') }
}

type Measured = Awaited<ReturnType<typeof measure>>
const sum = (values: Record<string, number>, isCounted: (kind: string) => boolean = () => true) =>
  Object.entries(values).reduce((total, [kind, value]) => total + (isCounted(kind) ? value : 0), 0)
const isOurs = (kind: string) => kind !== 'postgres'

function rowsOf(what: string, found: Measured) {
  const row = (name: string, isCounted: (kind: string) => boolean) => ({
    agent: what,
    processes: name,
    'PSS, MB': (sum(found.pss, isCounted) / MB).toFixed(1),
    'wake-ups/s': sum(found.wakeups, isCounted).toFixed(2),
    'syncs/s': sum(found.syncs, isCounted).toFixed(3),
    'MB written a day': ((sum(found.written, isCounted) * DAY) / MB).toFixed(1),
    'CPU, ms/s': (sum(found.cpu, isCounted) * 1000).toFixed(2),
  })
  return [
    ...Object.keys(found.pss).map((kind) => row(kind, (each) => each === kind)),
    row('all of ours', isOurs),
    row('all', () => true),
  ]
}

async function withApps(count: number): Promise<Measured> {
  const agent = await startAgent(await makeFolders(count))
  try {
    for (let n = 1; n <= count; n += 1) await agent.sql.query('select bloud.install($1)', [`app-${n}`])
    await agent.until("select count(*) = $1 from bloud.apps where status = 'running'", [count])
    await agent.sql.end()
    await sleep(settle * 1000) // until connections that are not needed have been closed
    return await measure(agent)
  } finally {
    await agent.stop()
  }
}

const none = await withApps(0)
const some = await withApps(apps)
report('idle', { seconds, apps, settle }, [...rowsOf('no app', none), ...rowsOf(`${apps} apps`, some)], {
  none,
  some,
})
process.exit(0)
