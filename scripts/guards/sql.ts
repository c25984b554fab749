import type { Guard } from './guard.ts'

export const SQL_GUARDS: readonly Guard[] = [
  {
    name: 'a worker that has lost the lease can write nothing',
    file: 'sql/functions/lease.sql',
    changes: [['from bloud.lease where attempt = p_attempt for share', 'from bloud.lease for share']],
    tests: ['tests/sql/rebuild.test.ts', 'tests/sql/attempt.test.ts'],
  },
  {
    name: 'the lease does not change hands during a write of its holder',
    file: 'sql/functions/lease.sql',
    changes: [['where attempt = p_attempt for share;', 'where attempt = p_attempt;']],
    tests: ['tests/sql/attempt.test.ts', 'tests/sql/clock.test.ts'],
  },
  {
    name: 'a lease that ends later than any worker may request is expired',
    file: 'sql/functions/lease.sql',
    changes: [
      [
        'or (l.lease_until between bloud.clock() and bloud.clock() + bloud.longest_lease()) is not true',
        'or (l.lease_until >= bloud.clock()) is not true',
      ],
    ],
    tests: ['tests/sql/clock.test.ts'],
  },
  {
    name: 'event numbers become visible in ascending order',
    file: 'sql/triggers.sql',
    changes: [['  lock table bloud.lock_events in share update exclusive mode;\n', '']],
    tests: ['tests/sql/event.test.ts', 'tests/sql/lock.test.ts'],
  },
  {
    name: 'a change of the status that is not listed is refused',
    file: 'sql/triggers.sql',
    changes: [["if not found or (tg_op = 'DELETE'", "if (tg_op = 'DELETE'"]],
    tests: ['tests/sql/transitions.test.ts'],
  },
  {
    name: 'history is not changed',
    file: 'sql/triggers.sql',
    changes: [
      ["when (pg_catalog.current_setting('bloud.pruning', true) is distinct from 'on')", 'when (false)'],
    ],
    tests: ['tests/sql/event.test.ts', 'tests/sql/errors.test.ts'],
  },
  {
    name: 'history is not emptied',
    file: 'sql/triggers.sql',
    changes: [
      [
        'before truncate on bloud.events\n  for each statement',
        'before truncate on bloud.events\n  for each statement when (false)',
      ],
    ],
    tests: ['tests/sql/event.test.ts', 'tests/sql/errors.test.ts'],
  },
  {
    name: 'apps are locked in one order, so that two verbs never wait for each other',
    file: 'sql/functions/lock.sql',
    changes: [
      [
        'from unnest(p_names) as n where n is not null order by n loop',
        'from unnest(p_names) as n where n is not null order by n desc loop',
      ],
    ],
    tests: ['tests/sql/lock.test.ts'],
  },
  {
    name: 'a verb in a transaction with an old snapshot is refused',
    file: 'sql/functions/lock.sql',
    changes: [["in ('repeatable read', 'serializable') then", "in ('serializable') then"]],
    tests: ['tests/sql/lock.test.ts', 'tests/sql/errors.test.ts'],
  },
  {
    name: 'a session that keeps an app locked and does nothing is ended',
    file: 'sql/functions/lock.sql',
    changes: [["    perform set_config('idle_in_transaction_session_timeout', '1min', true);", '    null;']],
    tests: ['tests/sql/lock.test.ts'],
  },
  {
    name: 'readers can lock no table that serves as a lock',
    file: 'sql/grants.sql',
    changes: [
      [
        'revoke all on bloud.lock_events, bloud.lock_verbs, bloud.lock_keys from bloud_viewer, bloud_relay;',
        '',
      ],
    ],
    tests: ['tests/sql/reader-locks.test.ts'],
  },
  {
    name: 'the last event of an app is never pruned',
    file: 'sql/functions/retention.sql',
    changes: [['s.is_expired and s.seq <> all (v_newest)', 's.is_expired']],
    tests: ['tests/sql/prune.test.ts'],
  },
  {
    name: 'the last operations of an app keep their events',
    file: 'sql/functions/retention.sql',
    changes: [['((s.operation_id = any (p_kept)) is not true\n', '(true\n']],
    tests: ['tests/sql/prune.test.ts'],
  },
  {
    name: 'the last operations of an app are kept',
    file: 'sql/functions/retention.sql',
    changes: [['o.finished_at < p_before and not o.id = any (p_kept)', 'o.finished_at < p_before']],
    tests: ['tests/sql/prune-operations.test.ts'],
  },
  {
    name: 'the rebuilds that a rollback reads are kept',
    file: 'sql/functions/retention.sql',
    changes: [['and r.id not in (select n from bloud.rollback_rebuilds(50) n)', '']],
    tests: ['tests/sql/prune-operations.test.ts'],
  },
  {
    name: 'after the first rebuild was pruned, no other one counts as the first',
    file: 'sql/functions/retention.sql',
    changes: [['set rebuilds_pruned = true', 'set rebuilds_pruned = false']],
    tests: ['tests/sql/prune-operations.test.ts'],
  },
  {
    name: 'the lease of a worker that is connected is not taken before it ends',
    file: 'sql/functions/lease.sql',
    changes: [['l.worker = p_gone and not bloud.is_connected(l.worker)', 'l.worker = p_gone']],
    tests: ['tests/sql/lease.test.ts', 'tests/orchestrator/lease.test.ts'],
  },
  {
    name: 'the lease of a worker that has lost its session for a moment is not taken',
    file: 'src/orchestrator/lease.ts',
    changes: [['now() - seen.since >= GONE_MS', 'now() >= seen.since']],
    tests: ['tests/orchestrator/lease.test.ts'],
  },
  {
    name: 'a claim without work writes nothing',
    file: 'sql/functions/claim.sql',
    changes: [['  if not bloud.has_work() then', '  if false then']],
    tests: ['tests/sql/idle.test.ts'],
  },
  {
    name: 'a sweep without work writes nothing',
    file: 'sql/functions/health.sql',
    changes: [['  if not bloud.is_sweep_due() then', '  if false then']],
    tests: ['tests/sql/idle.test.ts'],
  },
  {
    name: 'a change that is notified while the apps are read is not missed',
    file: 'src/orchestrator/health.ts',
    changes: [['      isOutdated ||= !isRead', '      isOutdated = !isRead']],
    tests: ['tests/orchestrator/health.test.ts'],
  },
  {
    name: 'the apps are read again after a read that has failed',
    file: 'src/orchestrator/health.ts',
    changes: [['      isOutdated ||= !isRead', '      isOutdated ||= false']],
    tests: ['tests/orchestrator/health.test.ts'],
  },
  {
    name: 'clients learn up to which event the history was pruned',
    file: 'sql/functions/retention.sql',
    changes: [['set pruned_to = greatest(pruned_to, v_pruned_to)', 'set pruned_to = pruned_to']],
    tests: ['tests/sql/prune.test.ts', 'tests/sql/rebuild.test.ts'],
  },
  {
    name: 'a part of a log is stored only once',
    file: 'sql/functions/rebuild.sql',
    changes: [['where r.id = p_rebuild and r.log_offset = p_from_offset', 'where r.id = p_rebuild']],
    tests: ['tests/sql/rebuild.test.ts'],
  },
  {
    name: 'a cancel that came too late is removed, and the operation has a warning',
    file: 'sql/functions/rebuild.sql',
    changes: [['    perform bloud.revert_cancel(v_operation);\n  end loop;', '    null;\n  end loop;']],
    tests: ['tests/sql/cancel.test.ts'],
  },
  {
    name: 'only the HTTP server can set the origin of a change',
    file: 'sql/functions/session.sql',
    changes: [["and pg_catalog.pg_has_role(session_user, 'bloud_relay', 'member')", '']],
    tests: ['tests/sql/verbs.test.ts'],
  },
  {
    name: 'only the owner can set the clock',
    file: 'sql/functions/session.sql',
    changes: [["or not pg_catalog.pg_has_role(session_user, 'bloud_owner', 'member') then", 'then']],
    tests: ['tests/sql/verbs.test.ts'],
  },
  {
    name: 'options have an upper limit of their size',
    file: 'sql/functions/install.sql',
    changes: [['octet_length(p_options::text) > 10000', 'false']],
    tests: ['tests/sql/errors.test.ts', 'tests/sql/verbs.test.ts'],
  },
  {
    name: 'a worker that began before a restore can write nothing',
    file: 'src/db/restore.ts',
    changes: [["greatest(attempt, pg_catalog.current_setting('bloud.attempt')::bigint) + 1", 'attempt']],
    tests: ['tests/main/backup.test.ts'],
  },
  {
    name: 'a restored history has a new epoch',
    file: 'src/db/restore.ts',
    changes: [['select bloud.new_epoch();', '']],
    tests: ['tests/main/backup.test.ts'],
  },
  {
    name: 'a backup of a newer version is refused',
    file: 'src/db/restore.ts',
    changes: [['  if (unknown.length === 0) return\n', '  return\n']],
    tests: ['tests/main/backup.test.ts'],
  },
  {
    name: 'a database works with one data folder only',
    file: 'sql/functions/pairing.sql',
    changes: [
      ['when v_pairing.folder_id <> p_folder and', 'when false and'],
      ['when v_pairing.folder_id <> p_folder then', 'when false then'],
    ],
    tests: ['tests/main/pairing.test.ts'],
  },
  {
    name: 'a copy of a data folder is refused while the original works',
    file: 'sql/functions/pairing.sql',
    changes: [['  if v_machine <> p_machine and', '  if false and']],
    tests: ['tests/main/pairing.test.ts', 'tests/sql/lease.test.ts'],
  },
  {
    name: 'data of an app is deleted only if the request names the app',
    file: 'sql/functions/uninstall.sql',
    changes: [['  if p_purge <> p_app then', '  if false then']],
    tests: ['tests/sql/verbs.test.ts'],
  },
  {
    name: 'the actor of a change is the login, also after set role',
    file: 'sql/functions/session.sql',
    changes: [["<> 'none' and bloud.is_relay() then", "<> 'none' then"]],
    tests: ['tests/sql/verbs.test.ts', 'tests/sql/withdraw.test.ts'],
  },
  {
    name: 'operations of a rollback have a rebuild of their own',
    file: 'sql/functions/claim.sql',
    changes: [['and o.app = any (v_names) and bloud.rollback_of(o) is null', 'and o.app = any (v_names)']],
    tests: ['tests/sql/rollback.test.ts'],
  },
]
