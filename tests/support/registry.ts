/** Serves npm packages over HTTP, as the npm registry does. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'

export interface PublishedPackage {
  name: string
  version?: string
  dependencies?: Record<string, string>
  scripts?: Record<string, string>
  bin?: Record<string, string>
  /** Contents of further files, by path. */
  files?: Record<string, string>
}

const BLOCK = 512

/** Starts a registry with these packages. Every other name is unknown. Returns the URL of the registry. */
export async function startRegistry(t: TestContext, packages: PublishedPackage[]): Promise<string> {
  const server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '/').slice(1))
    const tarball = packages.find((each) => name === tarballPath(each))
    if (tarball) return response.end(pack(tarball))
    const found = packages.filter((each) => each.name === name)
    response.statusCode = found.length > 0 ? 200 : 404
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(found.length > 0 ? packument(name, found, url()) : { error: 'Not found' }))
  })
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return url()
}

const versionOf = ({ version = '1.0.0' }: PublishedPackage) => version
const tarballPath = (each: PublishedPackage) => `${each.name}/-/${versionOf(each)}.tgz`

function packument(name: string, found: PublishedPackage[], url: string) {
  const versions = found.map((each) => [
    versionOf(each),
    {
      ...manifestOf(each),
      ...(each.scripts && { hasInstallScript: true }),
      dist: {
        tarball: `${url}/${tarballPath(each)}`,
        integrity: `sha512-${createHash('sha512').update(pack(each)).digest('base64')}`,
      },
    },
  ])
  return { name, 'dist-tags': { latest: versions.at(-1)?.[0] }, versions: Object.fromEntries(versions) }
}

function manifestOf({ files: _, ...manifest }: PublishedPackage) {
  return { version: '1.0.0', ...manifest }
}

function pack(each: PublishedPackage): Buffer {
  const files = { 'package.json': JSON.stringify(manifestOf(each)), ...each.files }
  const parts = Object.entries(files).flatMap(([path, content]) => entry(`package/${path}`, content))
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]))
}

/** Returns a file of a tar archive in the format ustar. */
function entry(path: string, content: string): Buffer[] {
  const body = Buffer.from(content)
  const header = Buffer.alloc(BLOCK)
  const write = (text: string, offset: number) => header.write(text, offset, 'latin1')
  write(path, 0)
  write('0000755\0', 100)
  write(`${body.length.toString(8).padStart(11, '0')}\0`, 124)
  write('00000000000\0', 136)
  write('        ', 148) // The checksum counts as spaces while it is computed.
  write('0', 156)
  write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return [header, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]
}
