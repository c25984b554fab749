/**
 * Copies a text to the clipboard. Without TLS the browser has no clipboard API, so the text is put into a
 * text field and copied from the field.
 * @param {string} text
 * @returns {Promise<boolean>} true if the text was copied
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyBySelection(text)
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement)
  const box = document.createElement('textarea')
  box.value = text
  box.className = 'sr'
  document.body.append(box)
  box.select()
  const done = document.execCommand('copy')
  box.remove()
  before?.focus()
  return done
}
