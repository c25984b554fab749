import htm from 'htm'
import { h } from 'preact'

/**
 * Template tag that creates Preact elements. The cast is needed because the types of htm describe the
 * CommonJS module instead of the ES module.
 * @type {(strings: TemplateStringsArray, ...values: unknown[]) => import('preact').VNode}
 */
export const html = /** @type {any} */ (htm).bind(h)
