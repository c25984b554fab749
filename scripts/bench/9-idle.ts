/**
 * Benchmark of an agent that has nothing to do: memory, and per second the syncs of the disk, the wake-ups,
 * the processor time and the bytes written, without apps and with twenty apps that run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BenchAgent, makeFolders, startAgent } from './agent.ts'
import { FOLDER } from './process.ts'
import { byKind, processTree, pssOf, type Use, useOf } from './processtree.ts'
import { option, report } from './report.ts'

const [seconds, apps, settle] = [option('seconds', 120), option('apps', 20), option('settle', 40)]
const SYNCS = ['fsync', 'fdatasync', 'sync_file_range', 'msync', 'syncfs', 'sync']
const DAY = 86_400
const MB = 1e6

/** Counts the system calls that sync the disk. strace makes the processes wake up more often. */
async function countSyncs(pids: number[]): Promise<Record<string, number>> {
  const file = join(FOLDER, `syncs-${process.pid}`)
  const args = ['-f', '-q', '-e', `trace=${SYNCS}`, '-o', file, ...pids.flatMap((pid) => ['-p', String(pid)])]
  const strace = spawn('strace', args, { stdio: 'ignore' })
  await once(strace, 'spawn')
  await sleep(seconds * 1000)
  strace.kill('SIGINT')
  await once(strace, 'exit')
  const lines = readFileSync(file, 'utf8').split('\n')
  const counts: Record<string, number> = {}
  for (const line of lines) {
    const pid = Number(/^(\d+) /.exec(line)?.[1])
    if (SYNCS.some((name) => line.includes(` ${name}(`))) counts[pid] = (counts[pid] ?? 0) + 1
  }
  return counts
}

async function measure(agent: BenchAgent) {
  const [tree, begin] = [processTree(agent.pid).filter(({ kind }) => kind !== 'app'), performance.now()]
  const before = new Map(tree.map(({ pid }) => [pid, useOf(pid)]))
  await sleep(seconds * 1000)
  const elapsed = (performance.now() - begin) / 1000
  const grown = (name: keyof Use) =>
    byKind(tree, (pid) => Math.max(0, useOf(pid)[name] - (before.get(pid)?.[name] ?? 0)) / elapsed)
  const [wakeups, cpu, written] = [grown('wakeups'), grown('cpu'), grown('written')]
  const pss = byKind(tree, pssOf)
  const syncsOf = await countSyncs(tree.map(({ pid }) => pid))
  const syncs = byKind(tree, (pid) => (syncsOf[pid] ?? 0) / seconds)
  return { pss, wakeups, cpu, written, syncs }
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
