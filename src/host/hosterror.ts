/** Error of a host that can't work on this machine. The message contains what to do. */
export class HostError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}
