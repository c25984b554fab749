/**
 * Joins the JavaScript modules of the web page into one script when the agent starts. The browser then needs
 * only one request, and the project needs no build step.
 *
 * Each module becomes a function, so that local names of different modules cannot collide. Import cycles,
 * `export let`, `export *` and dynamic imports are not supported and throw an error with the name of the
 * file.
 */
import { type Comment, type ModuleDeclaration, type Program, parse, type Token } from 'acorn'

export interface BundleOptions {
  entry: string
  read(id: string): string
  /** Returns the id of the module that `from` imports as `specifier`. */
  resolve(specifier: string, from: string): string
}

interface Edit {
  start: number
  end: number
  text: string
}

interface ModuleParts {
  /** Lines of code that define the imported names of the module as constants. */
  head: string[]
  edits: Edit[]
  /** Local name of each export, by exported name. */
  exports: Map<string, string>
}

/**
 * Returns one script that contains the module `entry` and all modules that `entry` imports.
 * @throws Error for unsupported syntax.
 */
export function bundle({ entry, read, resolve }: BundleOptions): string {
  const names = new Map<string, string>()
  const wrapped: string[] = []

  /**
   * Adds a module to the script, after its imports. Returns the name of the constant that contains the
   * module's exports.
   */
  function add(id: string, importers: readonly string[]): string {
    if (importers.includes(id))
      throw new Error(`Modules import each other: ${[...importers, id].join(' → ')}`)
    const known = names.get(id)
    if (known) return known
    const source = read(id)
    const { program, comments } = parseModule(source, id)
    const parts: ModuleParts = {
      head: [],
      edits: comments.map((comment) => withoutComment(source, comment)),
      exports: new Map(),
    }
    const nameOf = (specifier: string) => add(resolve(specifier, id), [...importers, id])
    for (const node of program.body) joinNode(node, parts, nameOf, id)
    const name = `bloud$${names.size}`
    names.set(id, name)
    wrapped.push(wrap(name, parts, applyEdits(source, parts.edits)))
    return name
  }

  add(entry, [])
  const script = wrapped.join('')
  parse(script, { ecmaVersion: 'latest', sourceType: 'module' })
  return script
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
    rejectImportExpressions(tokens)
    return { program, comments }
  } catch (error) {
    throw new Error(`${id}: ${(error as Error).message}`)
  }
}

/**
 * Rejects `import(…)` and `import.meta`, because both would refer to the joined script instead of the module.
 */
function rejectImportExpressions(tokens: readonly Token[]): void {
  const found = tokens.some(
    ({ type }, index) => type.keyword === 'import' && /^[(.]$/.test(tokens[index + 1]?.type.label ?? ''),
  )
  if (found) throw new Error("import( and import. can't be joined into one file")
}

function withoutComment(source: string, { start, end }: Comment): Edit {
  const lineStart = source.lastIndexOf('\n', start - 1) + 1
  const isAlone = source.slice(lineStart, start).trim() === '' && /[\r\n]/.test(source[end] ?? '\n')
  return isAlone ? { start: lineStart, end: end + 1, text: '' } : { start, end, text: ' ' }
}

type AnyNode = Program['body'][number] | ModuleDeclaration

/**
 * Converts a top-level statement of a module: an import becomes a constant, and an export is added to
 * `parts.exports`.
 */
function joinNode(
  node: AnyNode,
  parts: ModuleParts,
  nameOf: (specifier: string) => string,
  id: string,
): void {
  if (node.type === 'ImportDeclaration') {
    const from = nameOf(String(node.source.value))
    const bindings = node.specifiers.map((specifier) => {
      if (specifier.type === 'ImportNamespaceSpecifier') throw unsupported(id, 'import *')
      const imported = specifier.type === 'ImportSpecifier' ? nameIn(specifier.imported) : 'default'
      return `${imported}: ${specifier.local.name}`
    })
    if (bindings.length > 0) parts.head.push(`const { ${bindings.join(', ')} } = ${from}\n`)
    parts.edits.push({ start: node.start, end: node.end, text: '' })
  } else if (node.type === 'ExportNamedDeclaration') {
    if (node.source) throw unsupported(id, 'export … from')
    for (const { exported, local } of node.specifiers) parts.exports.set(nameIn(exported), nameIn(local))
    for (const name of declaredNames(node.declaration, id)) parts.exports.set(name, name)
    parts.edits.push({ start: node.start, end: node.declaration?.start ?? node.end, text: '' })
  } else if (node.type === 'ExportDefaultDeclaration') {
    parts.exports.set('default', 'bloud$default')
    parts.edits.push({ start: node.start, end: node.declaration.start, text: 'const bloud$default = ' })
  } else if (node.type === 'ExportAllDeclaration') {
    throw unsupported(id, 'export *')
  }
}

const unsupported = (id: string, syntax: string) =>
  new Error(`${id}: "${syntax}" can't be joined into one file`)

const nameIn = (node: { type: string; name?: string; value?: unknown }): string =>
  node.type === 'Identifier' ? (node.name ?? '') : String(node.value)

type Declaration = Extract<AnyNode, { type: 'ExportNamedDeclaration' }>['declaration']

/**
 * Returns the names that an export declares. `export let` is refused, because importing modules copy the
 * value once and would miss a later assignment.
 */
function declaredNames(declaration: Declaration, id: string): string[] {
  if (!declaration) return []
  if (declaration.type !== 'VariableDeclaration') return [declaration.id.name]
  if (declaration.kind !== 'const') throw unsupported(id, `export ${declaration.kind}`)
  return declaration.declarations.map(({ id: target }) => {
    if (target.type !== 'Identifier') throw unsupported(id, 'export const { … }')
    return target.name
  })
}

/**
 * Returns the source with all edits applied. An edit inside a larger edit is skipped, for example the removal
 * of a comment inside an import statement.
 */
function applyEdits(source: string, edits: readonly Edit[]): string {
  let text = ''
  let at = 0
  for (const edit of [...edits].sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (edit.start < at) continue
    text += source.slice(at, edit.start) + edit.text
    at = edit.end
  }
  return text + source.slice(at)
}

function wrap(name: string, { head, exports }: ModuleParts, code: string): string {
  const properties = [...exports].map(([exported, local]) => `${exported}: ${local}`).join(', ')
  return `const ${name} = (() => {\n${head.join('')}${code.trim()}\nreturn { ${properties} }\n})()\n`
}
