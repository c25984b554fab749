/**
 * Schema of catalog files (`nix/catalog/<name>.yaml`). A catalog file describes an app that can be installed.
 */
import { z } from 'zod'
import { whyNotDisplayName } from './text.ts'
import { plainValue, WrittenScalar } from './writtenscalar.ts'

/**
 * Pattern of an app's name, as in the SQL function bloud.check_name(). The app's systemd unit, data directory
 * and catalog file have the same name.
 */
export const APP_NAME = /^[a-z][a-z0-9-]{0,62}$/

/** Default interval between two health probes of an app, in seconds. */
const DEFAULT_INTERVAL_SECONDS = 10
/** Default time in seconds within which a starting app must respond to a health probe. */
const DEFAULT_TIMEOUT_SECONDS = 120

/** A text. The text of a number is the text in the file: `1.10` stays `1.10`. */
const textOf = <T extends z.ZodType<unknown, z.ZodTypeDef, string>>(schema: T) =>
  z.preprocess((value) => {
    if (value instanceof WrittenScalar) return value.source
    return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
  }, schema)
/** A number, also as text: `"31050"`. */
const numberOf = (schema: z.ZodNumber) =>
  z.preprocess((value) => {
    if (value instanceof WrittenScalar) return value.value
    return typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
  }, schema)
/** A map. A number or boolean in its place is refused. */
const mapOf = <T extends z.ZodTypeAny>(schema: T) =>
  z.preprocess((value): unknown => (value instanceof WrittenScalar ? value.value : value), schema)
const WORDS: Record<string, boolean> = { true: true, yes: true, false: false, no: false }
export const boolean = z.preprocess((value) => {
  if (value instanceof WrittenScalar) return value.value
  return typeof value === 'string' && Object.hasOwn(WORDS, value.toLowerCase())
    ? WORDS[value.toLowerCase()]
    : value
}, z.boolean())

const appName = textOf(
  z.string().regex(APP_NAME, 'must be lower case letters, digits and dashes, starting with a letter'),
)
const port = numberOf(z.number().int().min(1).max(65535))
const text = textOf(z.string().min(1, 'is empty'))
export const anyText = textOf(z.string())
const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
const environment = mapOf(z.record(envName, anyText)).default({})
/**
 * Exact version of an npm package. Ranges and tags are refused, so that every install of an app gets the same
 * version.
 */
const exactVersion = textOf(
  z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'must be an exact version, like 1.2.3'),
)

const compatibleApp = mapOf(
  z.object({
    app: appName,
    default: boolean.default(false),
    category: text.optional(),
  }),
)
const integration = mapOf(
  z
    .object({
      required: boolean.default(false),
      multi: boolean.default(false),
      compatible: z.array(compatibleApp).min(1),
    })
    .refine(
      (slot) => slot.compatible.filter((choice) => choice.default).length <= 1,
      'has more than one default',
    ),
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
    args: z.array(anyText).default([]),
    environment,
    /**
     * Exact versions of indirect dependencies, by package name. They replace versions that can't be
     * installed.
     */
    overrides: mapOf(z.record(z.string().regex(NPM_NAME), exactVersion)).default({}),
    /** Names of the npm packages whose install scripts may run. */
    installScripts: z.array(textOf(z.string().regex(NPM_NAME))).default([]),
    /**
     * Initial files of the app's data directory, by path. An existing file is not overwritten, because the
     * user may have changed the file.
     */
    files: mapOf(
      z.record(z.string().regex(INSIDE, 'must be a path inside the data directory'), anyText),
    ).default({}),
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

const healthCheck = mapOf(
  z.object({
    /** Kind of the health probe. Apps without HTTP need `tcp`, which only opens a connection. */
    kind: textOf(z.enum(['http', 'tcp'])).optional(),
    path: textOf(z.string().startsWith('/')).default('/'),
    interval: numberOf(z.number().positive().max(3600)).default(DEFAULT_INTERVAL_SECONDS),
    timeout: numberOf(z.number().positive().max(86_400)).default(DEFAULT_TIMEOUT_SECONDS),
  }),
).default({})

const loose = mapOf(z.record(z.unknown()).transform((value) => plainValue(value) as Record<string, unknown>))

function checkDisplayName(name: string, context: z.RefinementCtx): void {
  const reason = whyNotDisplayName(name)
  if (reason) context.addIssue({ code: z.ZodIssueCode.custom, message: reason })
}

export const catalogAppSchema = z.object({
  name: appName,
  displayName: textOf(z.string().superRefine(checkDisplayName)),
  description: anyText.default(''),
  category: text,
  version: anyText.default(''),
  port,
  isSystem: boolean.default(false),
  image: text.optional(),
  containerPort: port.optional(),
  volumes: z.array(z.union([text, loose])).default([]),
  environment,
  integrations: mapOf(z.record(z.string().regex(/^[a-zA-Z][\w-]{0,62}$/), integration)).default({}),
  healthCheck,
  sso: loose.optional(),
  routing: loose.optional(),
  bootstrap: loose.optional(),
  resources: loose.optional(),
  docs: text.optional(),
  tags: z.array(text).default([]),
  npm: mapOf(npmForm).optional(),
})

export type CatalogApp = z.infer<typeof catalogAppSchema>
export type NpmForm = z.infer<typeof npmForm>

export interface CatalogProblem {
  file: string
  line: number
  reason: string
}
