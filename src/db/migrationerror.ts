export class MigrationError extends Error {
  readonly code:
    | 'schema_newer'
    | 'roles_missing'
    | 'migration_failed'
    | 'busy'
    | 'other_encoding'
    | 'other_owner'
    | 'read_only'

  constructor(code: MigrationError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
