/** Returns the number given as `--name=number` to the program, or the fallback. */
export function option(name: string, fallback: number): number {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`))
  return given ? Number(given.split('=')[1]) : fallback
}
