/**
 * Names of the properties that every plain object inherits. One of them, `constructor`, is a legal name of an
 * app.
 */
export const PROTOTYPE_NAMES = Object.getOwnPropertyNames(Object.prototype)
