import htm from 'htm'
import { h } from 'preact'

/** htm's types are those of a CommonJS module, the file the browser gets is an ES module: hence the cast.
 *  @type {(strings: TemplateStringsArray, ...values: unknown[]) => import('preact').VNode} */
export const html = /** @type {any} */ (htm).bind(h)
