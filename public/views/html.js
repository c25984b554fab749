import htm from 'htm'
import { h } from 'preact'

/**
 * Tagged template that creates Preact elements. The cast is needed because htm's types describe its CommonJS
 * module, but the browser loads its ES module.
 * @type {(strings: TemplateStringsArray, ...values: unknown[]) => import('preact').VNode}
 */
export const html = /** @type {any} */ (htm).bind(h)
