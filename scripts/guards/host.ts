import type { Guard } from './guard.ts'

export const HOST_GUARDS: readonly Guard[] = [
  {
    name: 'a switch begins only with its lock and its claim',
    file: 'src/host/rundirectory.ts',
    changes: [
      [
        "(await acquireFileLock(files.lock, lockLimitMs)) !== null && (await claimFile(files.claim, 'started'))",
        'lockLimitMs > 0 && files.dir.length > 0',
      ],
    ],
    tests: ['tests/host/local/runclaim.test.ts', 'tests/host/local/switch.test.ts'],
  },
  {
    name: 'a process of another agent is never killed',
    file: 'src/system/processgroup.ts',
    changes: [
      ['|| candidate.mark?.startsWith(', '|| candidate.mark !== null || candidate.mark?.startsWith('],
    ],
    tests: ['tests/host/local/supervisor.test.ts', 'tests/host/local/crash.test.ts'],
  },
  {
    name: 'processes that a killed supervisor left are found by their mark',
    file: 'src/system/processgroup.ts',
    changes: [['|| candidate.mark?.startsWith(', '|| candidate.mark?.endsWith(']],
    tests: ['tests/host/local/crash.test.ts', 'tests/host/local/switch.test.ts'],
  },
  {
    name: 'two apps never get one port',
    file: 'src/host/local/evaluation.ts',
    changes: [['else if (owner) failures', 'else if (owner === "") failures']],
    tests: ['tests/host/local/switch.test.ts'],
  },
  {
    name: 'a file that the user has changed is not replaced at the start of the app',
    file: 'src/host/local/appfiles.ts',
    changes: [['=> found.isFile() && found.size === 0', '=> found.isFile()']],
    tests: ['tests/host/local/supervisor.test.ts', 'tests/host/local/appfiles.test.ts'],
  },
  {
    name: 'an app that answers late does not delay an activation',
    file: 'src/host/local/activation.ts',
    changes: [['check, port.addresses, limitMs)', 'check, port.addresses)']],
    tests: ['tests/host/local/activation.test.ts'],
  },
  {
    name: 'an answer of another program on the port of an app does not end an activation',
    file: 'src/host/local/activation.ts',
    changes: [
      ["  if (port.owner !== 'group') return false", "  if (port.owner === 'none') return false"],
      ['port.addresses, limitMs', '["127.0.0.1"], limitMs'],
    ],
    tests: ['tests/host/local/activation.test.ts'],
  },
  {
    name: 'an activation ends when its apps are healthy',
    file: 'src/host/local/activation.ts',
    changes: [["settlesInMs)) ? 'started' : null", 'settlesInMs)) ? null : null']],
    tests: ['tests/host/local/activation.test.ts'],
  },
  {
    name: 'an activation is not interrupted by SIGTERM',
    file: 'src/host/local/switch.ts',
    changes: [['process.on(signal, onSignal)', 'process.on(signal, () => process.exit(EXIT_STOPPED))']],
    tests: ['tests/host/local/switch.test.ts', 'tests/host/local/crash.test.ts'],
  },
  {
    name: 'the pause before a restart of an app grows',
    file: 'src/host/local/unit.ts',
    changes: [['pause = Math.min(pause * 2, LAST_PAUSE_MS)', 'pause = 1_000']],
    tests: ['tests/host/local/supervisor.test.ts'],
  },
  {
    name: 'a name of an app in a path of NixOS files is checked',
    file: 'src/host/nixos/write.ts',
    changes: [
      [
        'for (const { name } of sorted) if (!APP_NAME.test(name)) throw',
        'for (const { name } of sorted) if (name === "") throw',
      ],
    ],
    tests: [
      'tests/host/nixos/render.test.ts',
      'tests/nix/hostile.test.ts',
      'tests/host/nixos/secret.test.ts',
    ],
  },
  {
    name: 'a secret is readable only for the agent',
    file: 'src/host/nixos/secret.ts',
    changes: [['await writeAtomic(path, value, 0o600)', 'await writeAtomic(path, value, 0o644)']],
    tests: ['tests/host/nixos/secret.test.ts'],
  },
  {
    name: 'a host secret that is too short is refused',
    file: 'src/host/nixos/secret.ts',
    changes: [['if (secret.length < SECRET_BYTES) {', 'if (secret.length < 0) {']],
    tests: ['tests/host/nixos/secret.test.ts'],
  },
  {
    name: 'a file that is made once, such as the host secret, is never replaced',
    file: 'src/system/atomicfile.ts',
    changes: [['      await link(temp, path)\n', '      await rename(temp, path)\n']],
    tests: ['tests/system/atomicfile.test.ts', 'tests/host/nixos/secret.test.ts'],
  },
  {
    name: 'an alias in a catalog file can not expand without limit',
    file: 'src/domain/catalogyaml.ts',
    changes: [['if (extent.values > MAX_VALUES) return', 'if (extent.values < 0) return']],
    tests: ['tests/domain/catalogyaml.test.ts'],
  },
  {
    name: 'a catalog file can not change the prototype of objects',
    file: 'src/domain/catalogyaml.ts',
    changes: [["if (value === '__proto__') refuse", "if (value === '') refuse"]],
    tests: ['tests/domain/catalogyaml.test.ts'],
  },
  {
    name: 'a catalog file that blocks when it is read does not block the catalog',
    file: 'src/system/regularfile.ts',
    changes: [["if (!(await file.stat()).isFile()) throw new Error('is not a regular file')", '']],
    tests: ['tests/orchestrator/catalogdirectory.test.ts'],
  },
  {
    name: 'an app may have the name of an inherited property',
    file: 'src/domain/record.ts',
    changes: [['Object.hasOwn(record, name)', 'name in record']],
    tests: ['tests/host/local/names.test.ts'],
  },
  {
    name: 'the environment of a running process has no password',
    file: 'src/config/childenvironment.ts',
    changes: [['  eraseFromProc(isKept)\n', '']],
    tests: ['tests/main/secrets.test.ts'],
  },
  {
    name: 'no child process inherits a password of PostgreSQL',
    file: 'src/system/environment.ts',
    changes: [['/^PG(?!(SSL)?PASSWORD$)[A-Z]+$/', '/^PG[A-Z]+$/']],
    tests: ['tests/main/secrets.test.ts'],
  },
  {
    name: 'another program on the port of an app does not count as the app',
    file: 'src/orchestrator/healthproblem.ts',
    changes: [["if (port.owner === 'other')", "if (port.owner === 'other' && port.program === '')"]],
    tests: ['tests/stories/port-taken.test.ts', 'tests/host/probe.test.ts'],
  },
  {
    name: 'an app that starts slowly stays running while the agent restarts',
    file: 'src/orchestrator/health.ts',
    changes: [['else if (!isStarting(app, wanted, unit, state)) state.failures++', 'else state.failures++']],
    tests: ['tests/stories/restart-of-agent.test.ts'],
  },
  {
    name: 'a catalog file that takes too long to parse is refused alone',
    file: 'src/orchestrator/catalogparser.ts',
    changes: [['if (content.length > MAX_QUICK_CHARACTERS)', 'if (content.length < 0)']],
    tests: ['tests/orchestrator/catalogdirectory.test.ts'],
  },
  {
    name: 'apps of an agent that runs as root do not run as root',
    file: 'src/host/local/appuser.ts',
    changes: [['  if (!isRoot()) return null\n', '  if (dataDir.length > 0) return null\n']],
    tests: ['tests/host/local/user.test.ts', 'tests/host/local/supervisor.test.ts'],
  },
  {
    name: 'a restart of a crashed app is recorded',
    file: 'src/orchestrator/health.ts',
    changes: [['series === null || restarts === 0 ||', 'series === null || restarts >= 0 ||']],
    tests: ['tests/stories/app-restarts.test.ts', 'tests/stories/health.test.ts'],
  },
  {
    name: 'a display name has no invisible characters',
    file: 'src/domain/text.ts',
    changes: [["  if (HAS_HIDDEN.test(text.replace(JOINER, '')))", "  if (text === '')"]],
    tests: ['tests/domain/text.test.ts'],
  },
  {
    name: 'an activation is complete only when the supervisor has applied its generation',
    file: 'src/host/local/supervisor.ts',
    changes: [
      [
        'if (wanted?.generation === generation && wanted.id !== activation) {',
        'if (wanted && wanted.id !== activation) {',
      ],
    ],
    tests: ['tests/host/local/supervisor.test.ts'],
  },
  {
    name: 'a damaged file of the cache of stripped types is not loaded',
    file: 'src/system/typestrip/cache.js',
    changes: [['return cached === text + lastLineOf(text) ? text : null', 'return text']],
    tests: ['tests/system/typestrip.test.ts', 'tests/http/pagescript.test.ts'],
  },
  {
    name: 'an app counts as started only if it is healthy on a port of its own, or has settled',
    file: 'src/host/local/activation.ts',
    changes: [["if (port.owner !== 'group') return false", "if (port.owner === 'none') return false"]],
    tests: ['tests/host/local/activation.test.ts'],
  },
]
