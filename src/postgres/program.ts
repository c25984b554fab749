import { join } from 'node:path'

export interface Binaries {
  directory: string
  /** Version of the npm package, for example 18.4.0-beta.17. */
  version: string
  /** Major version of PostgreSQL. A server can read only data directories of its own major version. */
  major: number
}

/** Returns the path of a program of PostgreSQL. */
export const program = ({ directory }: Binaries, name: 'initdb' | 'postgres') => join(directory, 'bin', name)
