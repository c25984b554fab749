/** Blueprints as text. Nothing here joins strings to YAML: values become nodes, and the library writes them. */
import { Document, isScalar, type Node, type Scalar, visit } from 'yaml'

export type BlueprintValue =
  | string
  | number
  | boolean
  | null
  | Tagged
  | readonly BlueprintValue[]
  | { [key: string]: BlueprintValue }

/** A value that authentik looks up when it applies the blueprint: `!KeyOf`, `!Find`, `!File`. */
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
 * All strings are quoted, so that none can be taken for something else, by whichever version of YAML: authentik's parser
 * speaks 1.1, where `no` is false and 0x85 ends a line.
 * @throws for text that no YAML can hold.
 */
export function toBlueprint(value: BlueprintValue): string {
  const document = new Document(null)
  document.contents = toNode(document, value) as never
  visit(document, {
    Scalar(key, scalar) {
      if (typeof scalar.value !== 'string') return
      if (!scalar.value.isWellFormed()) throw new Error('a text holds half a character')
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

/** Such characters are only ever inside the quotes, where an escape means the same. */
function escapeUnprintable(text: string): string {
  return text.replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
