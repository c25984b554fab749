/** Evaluates Nix expressions with nix-instantiate, without building or downloading packages. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../src/config.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { toolPath } from '../support/tools.ts'

const LIMIT_MS = 60_000
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024
const top = temporaryDirectory()
const env = {
  ...process.env,
  NIX_STATE_DIR: join(top, 'var'),
  NIX_LOG_DIR: join(top, 'log'),
  NIX_CONF_DIR: join(top, 'etc'),
  HOME: top,
}

export async function nixInstantiate(...args: string[]): Promise<string> {
  const options = { env, timeout: LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES, cwd: ROOT }
  const program = toolPath('nix') ?? 'nix-instantiate'
  const { stdout } = await promisify(execFile)(program, ['--store', 'dummy://', ...args], options)
  return stdout
}

export async function evaluate<T>(expression: string): Promise<T> {
  return JSON.parse(await nixInstantiate('--eval', '--strict', '--json', '-E', expression)) as T
}

export interface Unit {
  description: string
  after: string[]
  wants: string[]
  requires: string[]
  wantedBy: string[]
  environment: Record<string, string | null>
  serviceConfig: Record<string, unknown>
  restartIfChanged?: boolean
}

export interface Container {
  image: string
  serviceName: string
  cmd: string[]
  environment: Record<string, string>
  user: string | null
  ports: string[]
  volumes: string[]
  extraOptions: string[]
}

export interface System {
  failed: string[]
  services: Record<string, Unit>
  sockets: Record<string, Unit & { listenStreams: string[] }>
  paths: Record<string, Unit & { pathConfig: Record<string, string> }>
  tmpfiles: string[]
  users: Record<string, unknown>
  firewall: { allowedTCPPorts: number[]; interfaces: Record<string, Record<string, number[]>> }
  postgresql: {
    enable: boolean
    ensureDatabases: string[]
    ensureUsers: { name: string }[]
    identMap: string
    authentication: string
  }
  containers: Record<string, Container>
}

let files = 0

/**
 * Evaluates the configuration of a machine with the NixOS module. `apps` is the content of apps.json, and
 * `configuration` contains additional options in Nix syntax.
 */
export function system(apps: object[], configuration = '', version = 1): Promise<System> {
  const file = join(top, `apps-${files++}.json`)
  writeFileSync(file, JSON.stringify({ version, apps }))
  return evaluate(`import ./tests/nix/stubs/system.nix {
    modules = [
      {
        services.bloud.enable = true;
        services.bloud.package = { outPath = "/nix/store/00000000000000000000000000000000-bloud"; };
        services.bloud.apps.file = "${file}";
      }
      ({ lib, ... }: { ${configuration} })
    ];
  }`)
}

export async function errorOf(evaluation: Promise<unknown>): Promise<string> {
  try {
    await evaluation
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? String(error)
  }
  throw new Error('The evaluation was expected to fail')
}

/** Returns an app as in apps.json, the file that the agent writes and the NixOS module reads. */
export function app(name: string, more: object = {}): object {
  return {
    name,
    displayName: name,
    image: `localhost/${name}:1`,
    port: 8080,
    containerPort: 80,
    volumes: [],
    environment: {},
    secretFiles: {},
    dependsOn: [],
    database: null,
    healthCheck: { path: '/', interval: 10, timeout: 120 },
    resources: null,
    ...more,
  }
}
