import htm from 'htm'
import { h } from 'preact'

/**
 * Template tag that creates Preact elements. The cast to `any` is needed because the types of htm describe
 * the CommonJS module, but the ES module is imported.
 * @type {(strings: TemplateStringsArray, ...values: unknown[]) => import('preact').VNode}
 */
export const html = /** @type {any} */ (htm).bind(h)
