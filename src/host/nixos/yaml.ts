/**
 * Writes authentik blueprints (YAML files that set up sign-in). The YAML library serializes all values, so no
 * value can be read as YAML syntax.
 */
import { Document, isScalar, type Node, type Scalar, visit } from 'yaml'

export type BlueprintValue =
  | string
  | number
  | boolean
  | null
  | Tagged
  | readonly BlueprintValue[]
  | { [key: string]: BlueprintValue }

/**
 * YAML value with the tag `!KeyOf`, `!Find` or `!File`. authentik replaces the value by an object or by the
 * content of a file.
 */
export class Tagged {
  readonly tag: string
  readonly value: BlueprintValue
  constructor(tag: string, value: BlueprintValue) {
    this.tag = tag
    this.value = value
  }
}

export const tagged = (tag: '!KeyOf' | '!Find' | '!File', value: BlueprintValue): Tagged =>
  new Tagged(tag, value)

/**
 * Returns a blueprint as YAML. All strings are quoted, because authentik's YAML 1.1 parser would read `no` as
 * false.
 * @throws for text that YAML can't represent.
 */
export function toBlueprint(value: BlueprintValue): string {
  const document = new Document(null)
  document.contents = toNode(document, value) as never
  visit(document, {
    Scalar(key, scalar) {
      if (typeof scalar.value !== 'string') return
      if (!scalar.value.isWellFormed()) throw new Error('a text contains half a surrogate pair')
      if (key !== 'key') quote(scalar)
    },
  })
  return escapeUnprintable(document.toString({ lineWidth: 0, directives: false }))
}

function quote(scalar: Scalar): void {
  scalar.type = 'QUOTE_DOUBLE'
}

function toNode(document: Document, value: BlueprintValue): Node {
  if (value instanceof Tagged) {
    const node = toNode(document, value.value)
    node.tag = value.tag
    if (!isScalar(node)) (node as { flow?: boolean }).flow = true
    return node
  }
  if (Array.isArray(value)) return document.createNode(value.map((each) => toNode(document, each)))
  if (typeof value !== 'object' || value === null) return document.createNode(value) as Node
  const pairs = Object.entries(value).map(([key, each]) => [key, toNode(document, each as BlueprintValue)])
  return document.createNode(Object.fromEntries(pairs))
}

/** Escapes unprintable characters, which occur only inside quoted strings. */
function escapeUnprintable(text: string): string {
  return text.replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
