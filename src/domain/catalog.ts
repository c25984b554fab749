/**
 * Schema and parser of catalog files (`nix/catalog/<name>.yaml`). A catalog file describes an app that can be
 * installed.
 *
 * An unknown key causes only a warning, because an older agent must accept the catalog files of a newer
 * version.
 */
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'

/** Pattern of an app's name. The app's systemd unit, data directory and catalog file have the same name. */
export const APP_NAME = /^[a-z][a-z0-9-]{0,62}$/

/** Default interval between two health probes of an app, in seconds. */
const DEFAULT_INTERVAL_SECONDS = 10
/** Default time in seconds within which a starting app must respond to a health probe. */
const DEFAULT_TIMEOUT_SECONDS = 120

const appName = z
  .string()
  .regex(APP_NAME, 'must be lower case letters, digits and dashes, starting with a letter')
const port = z.number().int().min(1).max(65535)
const text = z.string().min(1)
const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
// A value such as the number in `PORT: 80` is converted to text, because environment variables contain text.
const environment = z
  .record(envName, z.union([z.string(), z.number(), z.boolean()]).transform(String))
  .default({})
/**
 * Exact version of an npm package. Ranges and tags are refused, so that every install of an app gets the same
 * version.
 */
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
  .refine(
    (slot) => slot.compatible.filter((choice) => choice.default).length <= 1,
    'has more than one default',
  )

/**
 * Pattern of a package name in the npm registry. Git URLs, tarballs and aliases are refused, because they
 * have no fixed version.
 */
const NPM_NAME = /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/
/** Pattern of a relative path in the app's data directory. `..` and hidden files are refused. */
const INSIDE = /^[A-Za-z0-9_][\w.-]*(\/[A-Za-z0-9_][\w.-]*)*$/

const npmForm = z
  .object({
    package: text,
    version: exactVersion.optional(),
    bin: text.optional(),
    entry: text.optional(),
    args: z.array(z.union([z.string(), z.number()]).transform(String)).default([]),
    environment,
    /**
     * Exact versions of indirect dependencies, by package name. They replace versions that can't be
     * installed.
     */
    overrides: z.record(z.string().regex(NPM_NAME), exactVersion).default({}),
    /** Names of the npm packages whose install scripts may run. */
    installScripts: z.array(z.string().regex(NPM_NAME)).default([]),
    /**
     * Initial files of the app's data directory, by path. An existing file is not overwritten, because the
     * user may have changed the file.
     */
    files: z
      .record(z.string().regex(INSIDE, 'must be a path inside the data directory'), z.string())
      .default({}),
    /** Operating systems on which the app runs, as in `process.platform`. If absent, the app runs on all. */
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
    /** Kind of the health probe. Apps without HTTP need `tcp`, which only opens a connection. */
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

/** Parses the text of a catalog file. `filename` must be the name of the app plus `.yaml` or `.yml`. */
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

/**
 * Returns the YAML document as plain values. Returns null if its aliases expand to too many values, which
 * could use up the memory.
 */
function readTree(document: YamlDocument): unknown {
  try {
    return document.toJS({ maxAliasCount: 50 })
  } catch {
    return null
  }
}

/**
 * Returns the offset of a key in the text of the file, for error messages. If the key is missing, returns the
 * offset of the nearest parent that exists.
 */
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

/**
 * Returns the parsed value plus the keys of `raw` that the schema does not define. Appends the path of each
 * such key to `unknown`.
 */
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
