/** Finds the program that starts an installed app, and the interpreter that its first line names. */
import { open, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { NpmForm } from '../../domain/catalog.ts'
import { own } from '../../domain/record.ts'
import { InstallError } from './installerror.ts'

/** Upper limit of the length of the first line in bytes; the Linux kernel reads no more (BINPRM_BUF_SIZE). */
const FIRST_LINE_BYTES = 256

export interface Program {
  file: string
  /** Options of Node if the file must be run with Node. Null if the operating system can run the file. */
  nodeOptions: string[] | null
  /** Environment variables that the first line of the file sets. */
  environment: Record<string, string>
}

/**
 * Returns the file that starts the app in the package folder `top`. `spec` is the name of the package in
 * error messages.
 * @throws InstallError if there is no such file.
 */
export async function programIn(top: string, spec: string, npm: NpmForm): Promise<Program> {
  const relative = npm.entry ?? (await binOf(top, spec, npm))
  const file = join(top, relative)
  const start = await firstBytes(file)
  if (start === null) throw new InstallError(`${spec} has no file ${relative}`, [])
  return { file, ...interpreterOf(start) }
}

async function binOf(top: string, spec: string, npm: NpmForm): Promise<string> {
  const { bin, name } = await manifestOf(top, spec)
  const bins = typeof bin === 'string' ? { [name.replace(/^@[^/]+\//, '')]: bin } : (bin ?? {})
  const found = own(bins, npm.bin ?? '')
  if (!found) throw new InstallError(`${spec} has no program called ${npm.bin}`, [])
  return found
}

interface PackageManifest {
  bin?: string | Record<string, string>
  name: string
}

async function manifestOf(top: string, spec: string): Promise<PackageManifest> {
  try {
    return JSON.parse(await readFile(join(top, 'package.json'), 'utf8'))
  } catch (error) {
    throw new InstallError(`the package.json of ${spec} can't be read: ${(error as Error).message}`, [])
  }
}

async function firstBytes(file: string): Promise<string | null> {
  const handle = await open(file, 'r').catch(() => null)
  if (!handle) return null
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FIRST_LINE_BYTES), 0, FIRST_LINE_BYTES, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/**
 * Returns the interpreter in the first line of a program, for example `#!/usr/bin/env -S node --no-warnings`.
 * A program without such a line is run with Node.
 */
function interpreterOf(start: string): Omit<Program, 'file'> {
  const environment: Record<string, string> = {}
  if (!start.startsWith('#!')) return { nodeOptions: [], environment }
  let words = splitWords(start.slice(2).split('\n', 1)[0] ?? '')
  if (basename(words[0] ?? '') === 'env') {
    words = withoutEnvOptions(words.slice(1))
    for (let word = words[0]; word !== undefined && isAssignment(word); word = words[0]) {
      environment[word.slice(0, word.indexOf('='))] = word.slice(word.indexOf('=') + 1)
      words.shift()
    }
  }
  const [program = '', ...nodeOptions] = words
  const isNode = ['node', 'nodejs'].includes(basename(program))
  return isNode ? { nodeOptions, environment } : { nodeOptions: null, environment: {} }
}

const isAssignment = (word: string): boolean => /^[A-Za-z_]\w*=/.test(word)

/** Splits a command at spaces. Quotation marks keep the spaces of a word, as in `env -S`. */
function splitWords(line: string): string[] {
  const words = line.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? []
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'))
}

/** Removes the options of `env`. They only concern the environment, which the agent sets anyway. */
function withoutEnvOptions(words: string[]): string[] {
  const [first = '', ...rest] = words
  if (/^(-u|-C|--unset|--chdir)$/.test(first)) return withoutEnvOptions(rest.slice(1))
  // The text after -S, also without a space (-Snode, -vSnode), is the command.
  const command = /^(?:-[iv0]*S|--split-string=)(.*)$/.exec(first)
  if (command) return withoutEnvOptions(command[1] ? [command[1], ...rest] : rest)
  return first.startsWith('-') ? withoutEnvOptions(rest) : words
}
