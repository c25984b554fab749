-- Comments on the tables that serve only as locks. psql prints them with \d+.

comment on table bloud.lock_events is
  'Empty table that is locked while event numbers are given out, until the transaction is committed.';
comment on table bloud.lock_verbs is
  'Empty table that every verb (install, uninstall …) locks in a shared mode, and rollback() alone.';
comment on table bloud.lock_keys is
  'Rows that serve as locks of an app, a dependency or a port. No role but the owner may lock or read them.';
comment on column bloud.lock_keys.key is
  'Name of the lock: app:<name>, dependency:<name> or port:<number>.';
