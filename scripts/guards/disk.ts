import type { Guard } from './guard.ts'

/** Guards that keep files and folders whole after a power failure. */
export const DISK_GUARDS: readonly Guard[] = [
  {
    name: 'a file is synced to disk before it is published',
    file: 'src/system/atomicfile.ts',
    changes: [
      ['  await syncFile(from)\n', ''],
      ['    await syncFile(temp)\n', ''],
    ],
    tests: ['tests/system/powercut.test.ts', 'tests/host/local/damage.test.ts'],
  },
  {
    name: 'a published file is still there after a power failure',
    file: 'src/system/atomicfile.ts',
    changes: [['  await syncDirectory(dirname(to))\n', '']],
    tests: ['tests/system/powercut.test.ts', 'tests/host/local/damage.test.ts'],
  },
  {
    name: 'a deleted folder does not come back after a power failure',
    file: 'src/system/atomicfile.ts',
    changes: [['  await syncDirectory(dirname(path)).catch(', '  await Promise.resolve().catch(']],
    tests: ['tests/system/powercut.test.ts', 'tests/host/local/damage.test.ts'],
  },
  {
    name: 'an installed package of which files were lost is installed anew',
    file: 'src/host/local/storeentry.ts',
    changes: [
      ["found.files >= sealed.files && found.bytes >= sealed.bytes ? 'whole' : 'damaged'", "'whole'"],
    ],
    tests: ['tests/host/local/damage.test.ts'],
  },
  {
    name: 'an installed package of an earlier version is checked',
    file: 'src/host/local/storeentry.ts',
    changes: [["if (isManifest(path) && !(await isJson(path))) return 'damaged'", '']],
    tests: ['tests/host/local/damage.test.ts'],
  },
  {
    name: 'a failed install on a full disk names the disk',
    file: 'src/system/diskspace.ts',
    changes: [
      ["['ENOSPC', 'EDQUOT'].includes(", '[""].includes('],
      ['&& !/watch/i.test(line)', '&& line === ""'],
    ],
    tests: ['tests/host/local/fulldisk.test.ts', 'tests/host/local/switch.test.ts'],
  },
]
