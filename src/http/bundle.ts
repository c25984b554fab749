/**
 * The page's modules in one file, made at the start: the browser asks once instead of module by module, and nobody has
 * to run a build.
 *
 * Each module becomes a function of its own, in the order of need, so that names can't collide; imports become
 * constants, comments go. Every module is parsed, never searched by pattern. What would need more than that (circles,
 * `export let`, `export *`, dynamic import) is refused with the name of the file.
 */
import { type Comment, type ModuleDeclaration, type Program, parse, type Token } from 'acorn'

export interface BundleOptions {
  entry: string
  /** The text of a module. */
  read(id: string): string
  /** The module that `specifier` means in `from`. */
  resolve(specifier: string, from: string): string
}

interface Edit {
  start: number
  end: number
  text: string
}

interface Part {
  /** Imports as constants. */
  head: string[]
  edits: Edit[]
  /** Exported name to local name. */
  exports: Map<string, string>
}

/** @returns one script that does what `entry` does. @throws for what it can't join. */
export function bundle({ entry, read, resolve }: BundleOptions): string {
  const names = new Map<string, string>()
  const pieces: string[] = []

  function add(id: string, trail: readonly string[]): string {
    if (trail.includes(id)) throw new Error(`Modules import each other: ${[...trail, id].join(' → ')}`)
    const known = names.get(id)
    if (known) return known
    const source = read(id)
    const { program, comments } = parseModule(source, id)
    const part: Part = {
      head: [],
      edits: comments.map((one) => withoutComment(source, one)),
      exports: new Map(),
    }
    const nameOf = (specifier: string) => add(resolve(specifier, id), [...trail, id])
    for (const node of program.body) joinNode(node, part, nameOf, id)
    const name = `bloud$${names.size}`
    names.set(id, name)
    pieces.push(wrap(name, part, edited(source, part.edits)))
    return name
  }

  add(entry, [])
  const whole = pieces.join('')
  parse(whole, { ecmaVersion: 'latest', sourceType: 'module' })
  return whole
}

function parseModule(source: string, id: string): { program: Program; comments: Comment[] } {
  const comments: Comment[] = []
  const tokens: Token[] = []
  try {
    const options = {
      onComment: comments,
      onToken: tokens,
      ecmaVersion: 'latest',
      sourceType: 'module',
    } as const
    const program = parse(source, options)
    refuseCalls(tokens)
    return { program, comments }
  } catch (error) {
    throw new Error(`${id}: ${(error as Error).message}`)
  }
}

/** `import(…)` and `import.meta` would mean the one file. */
function refuseCalls(tokens: readonly Token[]): void {
  const found = tokens.some(
    ({ type }, index) => type.keyword === 'import' && /^[(.]$/.test(tokens[index + 1]?.type.label ?? ''),
  )
  if (found) throw new Error("import( and import. can't be joined into one file")
}

/** A comment that fills its lines goes with them. */
function withoutComment(source: string, { start, end }: Comment): Edit {
  const lineStart = source.lastIndexOf('\n', start - 1) + 1
  const fills = source.slice(lineStart, start).trim() === '' && /[\r\n]/.test(source[end] ?? '\n')
  return fills ? { start: lineStart, end: end + 1, text: '' } : { start, end, text: ' ' }
}

type AnyNode = Program['body'][number] | ModuleDeclaration

function joinNode(node: AnyNode, part: Part, nameOf: (specifier: string) => string, id: string): void {
  if (node.type === 'ImportDeclaration') {
    const from = nameOf(String(node.source.value))
    const picked = node.specifiers.map((one) => {
      if (one.type === 'ImportNamespaceSpecifier') throw refusal(id, 'import *')
      return `${one.type === 'ImportSpecifier' ? nameIn(one.imported) : 'default'}: ${one.local.name}`
    })
    if (picked.length > 0) part.head.push(`const { ${picked.join(', ')} } = ${from}\n`)
    part.edits.push({ start: node.start, end: node.end, text: '' })
  } else if (node.type === 'ExportNamedDeclaration') {
    if (node.source) throw refusal(id, 'export … from')
    for (const one of node.specifiers) part.exports.set(nameIn(one.exported), nameIn(one.local))
    for (const name of declaredNames(node.declaration, id)) part.exports.set(name, name)
    part.edits.push({ start: node.start, end: node.declaration?.start ?? node.end, text: '' })
  } else if (node.type === 'ExportDefaultDeclaration') {
    part.exports.set('default', 'bloud$default')
    part.edits.push({ start: node.start, end: node.declaration.start, text: 'const bloud$default = ' })
  } else if (node.type === 'ExportAllDeclaration') {
    throw refusal(id, 'export *')
  }
}

const refusal = (id: string, what: string) => new Error(`${id}: "${what}" can't be joined into one file`)

const nameIn = (node: { type: string; name?: string; value?: unknown }): string =>
  node.type === 'Identifier' ? (node.name ?? '') : String(node.value)

type Declaration = Extract<AnyNode, { type: 'ExportNamedDeclaration' }>['declaration']

/** A value that may change later can't be handed on as a constant. */
function declaredNames(declaration: Declaration, id: string): string[] {
  if (!declaration) return []
  if (declaration.type !== 'VariableDeclaration') return [declaration.id.name]
  if (declaration.kind !== 'const') throw refusal(id, `export ${declaration.kind}`)
  return declaration.declarations.map(({ id: target }) => {
    if (target.type !== 'Identifier') throw refusal(id, 'export const { … }')
    return target.name
  })
}

/** An edit within another (a comment in an import) goes with it. */
function edited(source: string, edits: readonly Edit[]): string {
  let text = ''
  let at = 0
  for (const edit of [...edits].sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (edit.start < at) continue
    text += source.slice(at, edit.start) + edit.text
    at = edit.end
  }
  return text + source.slice(at)
}

function wrap(name: string, { head, exports }: Part, code: string): string {
  const given = [...exports].map(([exported, local]) => `${exported}: ${local}`).join(', ')
  return `const ${name} = (() => {\n${head.join('')}${code.trim()}\nreturn { ${given} }\n})()\n`
}
