/**
 * Reads the YAML text of a catalog file as plain values. Numbers and booleans keep their text. A text that
 * PostgreSQL can't store, or that expands to too many values, is refused.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type ScalarTag,
  type Tags,
} from 'yaml'
import { whyNotStorable } from './text.ts'
import { WrittenScalar } from './writtenscalar.ts'

/** Upper limit of the values of a file, aliases expanded. Catalog files have up to about 200 values. */
const MAX_VALUES = 10_000
/** Upper limit of the levels of nested maps and lists. Catalog files have up to 6. */
const MAX_DEPTH = 40

/** A reason why the file can't be used, with the line that causes it. */
export class YamlRefusal extends Error {
  readonly line: number
  constructor(line: number, reason: string) {
    super(reason)
    this.line = line
  }
}

export interface YamlFile {
  tree: unknown
  /** Returns the line of a key, or of its nearest parent that is in the file. */
  lineOf(path: (string | number)[]): number
}

const TAG_PREFIX = 'tag:yaml.org,2002:'
/** Tags of values that JSON has too. Other tags, such as `!!set` and the dates of YAML 1.1, are not used. */
const JSON_TAGS = ['map', 'seq', 'str', 'null', 'int', 'float', 'bool'].map((name) => TAG_PREFIX + name)
const WRITTEN_TAGS = ['int', 'float', 'bool'].map((name) => TAG_PREFIX + name)

/** Returns the tags of JSON values, but those for numbers and booleans create a WrittenScalar. */
const withWrittenScalars = (tags: Tags): Tags =>
  tags.flatMap((tag): Tags => {
    if (typeof tag === 'string' || !JSON_TAGS.includes(tag.tag)) return []
    if (!WRITTEN_TAGS.includes(tag.tag)) return [tag]
    const { resolve } = tag as ScalarTag
    const written = {
      ...tag,
      identify: (value: unknown) => value instanceof WrittenScalar,
      resolve(text, onError, options) {
        const value: unknown = resolve(text, onError, options)
        return new WrittenScalar((isScalar(value) ? value.value : value) as number | boolean, text)
      },
      stringify: ({ value }) => (value as WrittenScalar).source,
    } as ScalarTag
    return [written]
  })

/** Returns true if two keys of a map have the same text. */
const isSameKey = (a: unknown, b: unknown): boolean =>
  a === b || (isScalar(a) && isScalar(b) && String(a.value) === String(b.value))

/**
 * Parses the text of a YAML file.
 * @throws YamlRefusal
 */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter()
  const lineAt = (offset: number) => lines.linePos(offset).line || 1
  const nul = text.indexOf('\0')
  if (nul >= 0) throw new YamlRefusal(text.slice(0, nul).split('\n').length, 'contains a NUL character')
  let document: Document.Parsed
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'error',
      merge: true,
      customTags: withWrittenScalars,
      resolveKnownTags: false,
      uniqueKeys: isSameKey,
    })
  } catch (error) {
    throw new YamlRefusal(1, `can't be parsed: ${reasonOf(error as Error)}`)
  }
  const syntax = document.errors[0] ?? document.warnings.find(({ code }) => code === 'TAG_RESOLVE_FAILED')
  if (syntax) throw new YamlRefusal(lineAt(syntax.pos[0]), reasonOf(syntax))
  measure(document, (node, reason) => {
    throw new YamlRefusal(lineAt(node.range?.[0] ?? 0), reason)
  })
  return {
    // The aliases are limited by measure(). The limit of the library would also refuse 60 uses of one word.
    tree: document.toJS({ maxAliasCount: -1 }),
    lineOf: (path) => lineAt(offsetOf(document, path)),
  }
}

const reasonOf = ({ message }: Error): string =>
  /call stack/.test(message) ? 'is nested too deeply' : message

interface Extent {
  values: number
  depth: number
}

/** Calls `refuse` for a document that is too large when its aliases are expanded, or contains bad text. */
function measure(document: Document.Parsed, refuse: (node: Node, reason: string) => never): void {
  const anchors = new Map<string, Node>()
  const extents = new Map<Node, Extent>()

  function extentOf(node: unknown, level: number): Extent {
    if (isPair(node)) {
      const extent = sum([node.key, node.value], level)
      if (isMergeKey(node.key) && !canBeMerged(node.value, anchors))
        return refuse(node.key as Node, 'the merge key << needs a map or a list of maps')
      return extent
    }
    if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) return { values: 1, depth: 0 }
    if (level > MAX_DEPTH) return refuse(node, `is nested more than ${MAX_DEPTH} levels deep`)
    const extent = isAlias(node) ? targetOf(node) : ownExtent(node, level)
    if (extent.values > MAX_VALUES) return refuse(node, `expands to more than ${MAX_VALUES} values`)
    if (level + extent.depth > MAX_DEPTH) return refuse(node, `is nested more than ${MAX_DEPTH} levels deep`)
    return extent
  }

  function targetOf(node: Node & { source: string }): Extent {
    const target = anchors.get(node.source)
    if (!target) return refuse(node, `the alias *${node.source} has no anchor before it`)
    return extents.get(target) ?? refuse(node, `the alias *${node.source} contains itself`)
  }

  function ownExtent(node: Node & { anchor?: string; items?: unknown[] }, level: number): Extent {
    if (node.anchor) anchors.set(node.anchor, node)
    if (isScalar(node)) checkText(node, node.value, refuse)
    const extent = sum(node.items ?? [], level + 1)
    extents.set(node, extent)
    return extent
  }

  function sum(nodes: unknown[], level: number): Extent {
    const total = { values: 1, depth: 0 }
    for (const node of nodes) {
      const { values, depth } = extentOf(node, level)
      total.values += values
      total.depth = Math.max(total.depth, depth + 1)
    }
    return total
  }

  extentOf(document.contents, 0)
}

/** True for an unquoted `<<`. The library represents its value by a symbol. */
const isMergeKey = (key: unknown): boolean => isScalar(key) && typeof key.value === 'symbol'

function canBeMerged(value: unknown, anchors: Map<string, Node>): boolean {
  const isMapOrAlias = (node: unknown) => isMap(isAlias(node) ? anchors.get(node.source) : node)
  const node = isAlias(value) ? anchors.get(value.source) : value
  return isSeq(node) ? node.items.every(isMapOrAlias) : isMap(node)
}

function checkText(node: Node, value: unknown, refuse: (node: Node, reason: string) => never): void {
  if (typeof value !== 'string') return
  const reason = whyNotStorable(value)
  if (reason) refuse(node, reason)
  if (value === '__proto__') refuse(node, '__proto__ is not a name that can be used')
}

/**
 * Returns the offset of a key in the text of the file. If the key is missing, returns the offset of the
 * nearest parent that exists.
 */
function offsetOf(document: Document.Parsed, path: (string | number)[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    const range = (node as { range?: [number, number, number] } | undefined)?.range
    if (range) return range[0]
  }
  return document.contents?.range?.[0] ?? 0
}
