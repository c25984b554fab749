/**
 * The form of one catalog file (`nix/catalog/<name>.yaml`): what an app is, how it is reached, what it needs.
 *
 * A catalog file is written by hand, often by someone new. So a bad file is told apart from the others, with the line
 * where it went wrong, and a key we do not know is kept and reported rather than refused: a newer catalog still works
 * with an older agent.
 */
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'

/** Also the name of a unit, of a directory and of a file: nothing else may ever become one. */
export const APP_NAME = /^[a-z][a-z0-9-]{0,62}$/

/** Seconds between two probes, and until an app that does not answer is called unhealthy, unless the file says. */
const DEFAULT_INTERVAL_SECONDS = 10
const DEFAULT_TIMEOUT_SECONDS = 120

const appName = z
  .string()
  .regex(APP_NAME, 'must be lower case letters, digits and dashes, starting with a letter')
const port = z.number().int().min(1).max(65535)
const text = z.string().min(1)
const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
// YAML reads `PORT: 80` and `DEBUG: true` as number and boolean; in an environment all of them are text.
const environment = z
  .record(envName, z.union([z.string(), z.number(), z.boolean()]).transform(String))
  .default({})
/** An exact version: what is installed today is installed tomorrow. */
const exactVersion = z
  .string()
  .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'must be an exact version, like 1.2.3')

const compatibleApp = z.object({
  app: appName,
  default: z.boolean().default(false),
  category: text.optional(),
})
const integration = z
  .object({
    required: z.boolean().default(false),
    multi: z.boolean().default(false),
    compatible: z.array(compatibleApp).min(1),
  })
  .refine((slot) => slot.compatible.filter((one) => one.default).length <= 1, 'has more than one default')

/** A package name of the registry. Anything else npm takes (git URLs, tarballs, aliases) is not pinned. */
const NPM_NAME = /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/
/** A relative path without `..` and without a dot first: files that nothing else in there relies on. */
const INSIDE = /^[A-Za-z0-9_][\w.-]*(\/[A-Za-z0-9_][\w.-]*)*$/

const npmForm = z
  .object({
    package: text,
    version: exactVersion.optional(),
    bin: text.optional(),
    entry: text.optional(),
    args: z.array(z.union([z.string(), z.number()]).transform(String)).default([]),
    environment,
    /** Versions of packages further down, by name, where the package asks for something it can't get. */
    overrides: z.record(z.string().regex(NPM_NAME), exactVersion).default({}),
    /** Packages whose install scripts may run where npm asks for consent. */
    installScripts: z.array(z.string().regex(NPM_NAME)).default([]),
    /** Files of the data directory the app can't start without; written once, if absent, then the user's. */
    files: z
      .record(z.string().regex(INSIDE, 'must be a path inside the data directory'), z.string())
      .default({}),
    /** `process.platform` values it runs on; all, if left out. */
    platforms: z.array(text).optional(),
  })
  .refine((npm) => npm.package.startsWith('file:') || npm.version !== undefined, {
    message: 'is required (an exact version) unless package is a file: spec',
    path: ['version'],
  })
  .refine((npm) => npm.package.startsWith('file:') || NPM_NAME.test(npm.package), {
    message: 'must be the name of an npm package, or a file: spec',
    path: ['package'],
  })
  .refine((npm) => (npm.bin === undefined) !== (npm.entry === undefined), {
    message: 'needs exactly one of bin and entry',
    path: ['bin'],
  })

const healthCheck = z
  .object({
    /** `tcp`: that it takes connections is all that is asked, of an app that does not speak HTTP. */
    kind: z.enum(['http', 'tcp']).optional(),
    path: z.string().startsWith('/').default('/'),
    interval: z.number().positive().max(3600).default(DEFAULT_INTERVAL_SECONDS),
    timeout: z.number().positive().max(86_400).default(DEFAULT_TIMEOUT_SECONDS),
  })
  .default({})

const loose = z.record(z.unknown())

export const catalogAppSchema = z.object({
  name: appName,
  displayName: text.max(80),
  description: z.string().default(''),
  category: text,
  version: z.union([z.string(), z.number()]).transform(String).default(''),
  port,
  isSystem: z.boolean().default(false),
  image: text.optional(),
  containerPort: port.optional(),
  volumes: z.array(z.union([text, loose])).default([]),
  environment,
  integrations: z.record(z.string().regex(/^[a-zA-Z][\w-]{0,62}$/), integration).default({}),
  healthCheck,
  sso: loose.optional(),
  routing: loose.optional(),
  bootstrap: loose.optional(),
  resources: loose.optional(),
  docs: text.optional(),
  tags: z.array(text).default([]),
  npm: npmForm.optional(),
})

export type CatalogApp = z.infer<typeof catalogAppSchema>
export type NpmForm = NonNullable<CatalogApp['npm']>

export interface CatalogProblem {
  file: string
  line: number
  reason: string
}
export type ParsedFile = { ok: CatalogApp; warnings: CatalogProblem[] } | { error: CatalogProblem }

/** Reads one catalog file. `filename` is its name without the directory; the app must be called the same. */
export function parseCatalogFile(content: string, filename: string): ParsedFile {
  const lines = new LineCounter()
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const problem = (offset: number, reason: string) => ({
    file: filename,
    line: lines.linePos(offset).line || 1,
    reason,
  })
  const syntax = document.errors[0]
  if (syntax) return { error: problem(syntax.pos[0], syntax.message) }

  const at = (path: (string | number)[]) => offsetOf(document, path)
  const raw: unknown = readTree(document)
  const parsed = catalogAppSchema.safeParse(raw)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const path = issue?.path ?? []
    return {
      error: problem(at(path), `${path.join('.') || 'the file'}: ${issue?.message ?? 'not readable'}`),
    }
  }
  const expected = filename.replace(/\.ya?ml$/, '')
  if (parsed.data.name !== expected) {
    return {
      error: problem(at(['name']), `name: is "${parsed.data.name}", but the file is called "${filename}"`),
    }
  }
  const unknown: string[][] = []
  const ok = keepUnknown(raw, parsed.data, [], unknown) as CatalogApp
  const warnings = unknown.map((path) =>
    problem(at(path), `${path.join('.')}: unknown key, kept but not used`),
  )
  return { ok, warnings }
}

type YamlDocument = ReturnType<typeof parseDocument>

/** A YAML bomb (aliases of aliases) throws here; that is a bad file like any other. */
function readTree(document: YamlDocument): unknown {
  try {
    return document.toJS({ maxAliasCount: 50 })
  } catch {
    return null
  }
}

/** Where a path starts in the text. A missing key is reported at the nearest thing around it that exists. */
function offsetOf(document: YamlDocument, path: (string | number)[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    const range = (node as { range?: [number, number, number] } | undefined)?.range
    if (range) return range[0]
  }
  return document.contents?.range?.[0] ?? 0
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The parsed value, with what the schema does not know put back; the paths of that are added to `unknown`. */
function keepUnknown(raw: unknown, parsed: unknown, path: string[], unknown: string[][]): unknown {
  if (Array.isArray(raw) && Array.isArray(parsed)) {
    return parsed.map((value, index) => keepUnknown(raw[index], value, [...path, String(index)], unknown))
  }
  if (!isMap(raw) || !isMap(parsed)) return parsed
  const kept: Record<string, unknown> = { ...parsed }
  for (const [key, value] of Object.entries(raw)) {
    if (key in parsed) kept[key] = keepUnknown(value, parsed[key], [...path, key], unknown)
    else {
      unknown.push([...path, key])
      kept[key] = value
    }
  }
  return kept
}
