import assert from 'node:assert/strict'
import { appendFile, cp, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, it } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { pageScript } from '../../src/http/pagescript.ts'
import { temporaryDirectory } from '../support/directory.ts'

const ENTRY = 'main.js'
const folder = temporaryDirectory()
let [count, pages, cache] = [0, '', '']

const script = () => pageScript(pages, ENTRY, cache)

async function cachedFile(): Promise<string> {
  const files = await readdir(cache)
  assert.equal(files.length, 1, files.join())
  return join(cache, files[0] as string)
}

describe('the script of the page', () => {
  beforeEach(async () => {
    count += 1
    pages = join(folder, `pages${count}`)
    cache = join(folder, `cache${count}`)
    await cp(join(ROOT, 'public'), pages, { recursive: true })
  })

  it('is joined once', async () => {
    const joined = await script()
    await utimes(await cachedFile(), 0, 0)
    assert.equal(await script(), joined)
    assert.equal((await stat(await cachedFile())).mtimeMs, 0)
  })

  it('is joined again when a module has changed, and the old one is deleted', async () => {
    await script()
    await appendFile(join(pages, ENTRY), '\nconsole.log("changed")\n')
    assert.match(await script(), /console\.log\("changed"\)/)
    await cachedFile()
  })

  it('is joined again when the cached file is damaged', async () => {
    const joined = await script()
    const file = await cachedFile()
    await writeFile(file, (await readFile(file, 'utf8')).replace('const', 'canst'))
    assert.equal(await script(), joined)
    assert.match(await readFile(file, 'utf8'), /^const/)
  })

  it('is joined where no file can be written', async () => {
    const joined = await script()
    assert.equal(await pageScript(pages, ENTRY, join(pages, ENTRY)), joined)
  })
})
