import { type FSWatcher, watch } from 'node:fs'

/**
 * Calls `onChange` when a file in the directory changes. Errors are ignored, because file events can be lost
 * in any case, so the caller must also poll.
 * @returns a function that ends the calls.
 */
export function watchDirectory(directory: string, onChange: () => void): () => void {
  let watcher: FSWatcher
  try {
    watcher = watch(directory, () => onChange())
  } catch {
    return () => undefined
  }
  watcher.on('error', () => watcher.close())
  return () => watcher.close()
}
