/**
 * Parser of catalog files. An unknown key causes only a warning, because an older agent must accept the
 * catalog files of a newer version. Apart from the schema, because the library for YAML takes 3 MB of memory.
 */
import { z } from 'zod'
import { type CatalogApp, type CatalogProblem, catalogAppSchema } from './catalog.ts'
import { readYaml, type YamlFile, YamlRefusal } from './catalogyaml.ts'
import { isObject, plainValue, WrittenScalar } from './writtenscalar.ts'

export type ParsedFile = { ok: CatalogApp; warnings: CatalogProblem[] } | { error: CatalogProblem }

const KINDS: Record<string, string> = {
  array: 'a list',
  boolean: 'true or false',
  null: 'empty',
  number: 'a number',
  object: 'a map',
  string: 'text',
}
const kindOf = (type: string): string => KINDS[type] ?? type

const errorMap: z.ZodErrorMap = (issue, { defaultError, data }) => {
  if (issue.code !== z.ZodIssueCode.invalid_type) return { message: defaultError }
  if (issue.received === 'undefined') return { message: 'is missing' }
  const received = data instanceof WrittenScalar ? typeof data.value : issue.received
  return { message: `must be ${kindOf(issue.expected)}, but is ${kindOf(received)}` }
}

/** Keys with a map of texts. An empty value is an empty text in these maps. */
const TEXT_MAPS = ['environment', 'files']

/** Returns the tree without keys that have no value. Such a key counts as absent. */
function withoutEmpty(tree: unknown, key = ''): unknown {
  if (Array.isArray(tree)) return tree.map((value) => withoutEmpty(value))
  if (!isObject(tree)) return tree
  const entries = Object.entries(tree).flatMap(([name, value]): [string, unknown][] => {
    if (value === null) return TEXT_MAPS.includes(key) ? [[name, '']] : []
    return [[name, withoutEmpty(value, name)]]
  })
  return Object.fromEntries(entries)
}

/** Parses the text of a catalog file. `filename` must be the name of the app plus `.yaml` or `.yml`. */
export function parseCatalogFile(content: string, filename: string): ParsedFile {
  let yaml: YamlFile
  try {
    yaml = readYaml(content)
  } catch (error) {
    if (!(error instanceof YamlRefusal)) throw error
    return { error: { file: filename, line: error.line, reason: error.message } }
  }
  const problem = (path: (string | number)[], reason: string) => ({
    file: filename,
    line: yaml.lineOf(path),
    reason: `${path.join('.') || 'the file'}: ${reason}`,
  })
  if (yaml.tree === null) return { error: problem([], 'is empty') }
  const raw = withoutEmpty(yaml.tree instanceof WrittenScalar ? yaml.tree.value : yaml.tree)
  const parsed = catalogAppSchema.safeParse(raw, { errorMap })
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return { error: problem(issue?.path ?? [], issue?.message ?? 'not readable') }
  }
  if (parsed.data.name !== filename.replace(/\.ya?ml$/, '')) {
    return { error: problem(['name'], `is "${parsed.data.name}", but the file is called "${filename}"`) }
  }
  const unknown: string[][] = []
  const ok = keepUnknown(raw, parsed.data, [], unknown) as CatalogApp
  return { ok, warnings: unknown.map((path) => problem(path, 'unknown key, kept but not used')) }
}

/**
 * Returns the parsed value plus the keys of `raw` that the schema does not define. Appends the path of each
 * such key to `unknown`.
 */
function keepUnknown(raw: unknown, parsed: unknown, path: string[], unknown: string[][]): unknown {
  if (Array.isArray(raw) && Array.isArray(parsed)) {
    return parsed.map((value, index) => keepUnknown(raw[index], value, [...path, String(index)], unknown))
  }
  if (!isObject(raw) || !isObject(parsed)) return parsed
  const kept: Record<string, unknown> = { ...parsed }
  for (const [key, value] of Object.entries(raw)) {
    if (Object.hasOwn(parsed, key)) kept[key] = keepUnknown(value, parsed[key], [...path, key], unknown)
    else {
      unknown.push([...path, key])
      kept[key] = plainValue(value)
    }
  }
  return kept
}
