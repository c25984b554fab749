/**
 * Cuts the power of an ext4 file system in a file, which is mounted as a loop device. Needs root. The file
 * system is mounted in namespaces of its own, so that the kernel unmounts it when the program ends.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isAlive, signal } from '../../src/system/childprocess.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { startProcess, type TestProcess } from './agent.ts'

const execute = promisify(execFile)
const COMMAND_LIMIT_MS = 120_000
const KILL_LIMIT_MS = 60_000
/** Environment variable that marks the process inside the namespaces. */
const INSIDE = 'BLOUD_POWERCUT_INSIDE'
/**
 * ioctl EXT4_IOC_SHUTDOWN with the flag EXT4_GOING_FLAGS_NOLOGFLUSH (2): the file system loses all that is
 * not on the disk yet, as in a power cut.
 */
const SHUTDOWN =
  'open(my $f, "<", $ARGV[0]) or die $!; my $x = pack("L", 2); ioctl($f, 0x8004587d, $x) or die $!'

const NAMESPACES = ['--mount', '--ipc', '--pid', '--fork', '--mount-proc', '--kill-child']

/** Returns the reason why power cuts can't be made on this machine, or null. */
export function powerCutObstacle(): string | null {
  if (process.platform !== 'linux') return 'power cuts need Linux'
  if (process.getuid?.() !== 0) return 'power cuts need root, to mount a file system'
  if (!existsSync('/dev/loop-control')) return 'power cuts need loop devices (modprobe loop)'
  try {
    execFileSync('unshare', [...NAMESPACES, 'sh', '-c', 'mkfs.ext4 -V && perl -v'], { stdio: 'ignore' })
    return null
  } catch {
    return 'power cuts need unshare, mkfs.ext4 and perl, and the right to mount'
  }
}

export const isInside = (): boolean => process.env[INSIDE] === '1'

/** Runs a program of this repository in mount and process namespaces of its own. */
export function startInside(script: string, args: string[]): TestProcess {
  // The shell is process 1 of the namespace, because it collects ended processes whose parent was killed.
  const command = ['sh', '-c', '"$@"; exit $?', 'sh', process.execPath, script, ...args]
  return startProcess('unshare', [...NAMESPACES, ...command], { env: { ...process.env, [INSIDE]: '1' } })
}

const run = (command: string, ...args: string[]) => execute(command, args, { timeout: COMMAND_LIMIT_MS })

export interface Disk {
  /** Folder in which the file system is mounted. */
  folder: string
  /** Makes a new, empty file system and mounts it. */
  format(): Promise<void>
  /** Loses all that is not on the disk, kills all processes that were started inside, and mounts again. */
  cutPower(): Promise<void>
  unmount(): Promise<void>
}

/**
 * @param options mount options. With `noauto_da_alloc,commit=600` nothing reaches the disk by itself.
 */
export function createDisk(top: string, megabytes: number, options = ''): Disk {
  const [image, folder] = [join(top, 'disk.img'), join(top, 'disk')]
  const mount = () => run('mount', '-o', ['loop', options].filter(Boolean).join(','), image, folder)
  const unmount = async () => {
    const umounted = () =>
      run('umount', folder).then(
        () => true,
        () => false,
      )
    const done = await pollUntil(umounted, KILL_LIMIT_MS)
    if (!done) throw new Error(`${folder} can't be unmounted`)
  }
  return {
    folder,
    async format() {
      await mkdir(folder, { recursive: true })
      await writeFile(image, '')
      await truncate(image, megabytes * 1024 * 1024)
      await run('mkfs.ext4', '-q', '-F', image)
      await mount()
    },
    async cutPower() {
      await run('perl', '-e', SHUTDOWN, folder)
      await killAll()
      await unmount()
      await mount()
    },
    unmount,
  }
}

/** Kills all processes of the namespace but process 1 and this one. */
async function killAll(): Promise<void> {
  const others = async () => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
    return pids.filter((pid) => pid !== 1 && pid !== process.pid && isAlive(pid))
  }
  const killed = await pollUntil(async () => {
    const left = await others()
    for (const pid of left) signal(pid, 'SIGKILL')
    return left.length === 0
  }, KILL_LIMIT_MS)
  if (!killed) throw new Error('processes can not be killed')
}
