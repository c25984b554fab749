/** Thread that parses catalog files, because a parse in the orchestrator's own thread could not be ended. */
import { parentPort } from 'node:worker_threads'
import { parseCatalogFile } from '../domain/catalogfile.ts'

parentPort?.on('message', ({ content, filename }: { content: string; filename: string }) => {
  try {
    parentPort?.postMessage(parseCatalogFile(content, filename))
  } catch (error) {
    const reason = `can't be parsed: ${(error as Error).message}`
    parentPort?.postMessage({ error: { file: filename, line: 1, reason } })
  }
})
parentPort?.postMessage('ready')
