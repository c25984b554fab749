-- Function status_at(), which reads the status of an app at an earlier time from its events. The status is
-- to_status of the last event of the app before that time.
-- Errors raised: none.

create or replace function bloud.status_at(app text, at timestamptz) returns text
language sql stable as $$
  select e.to_status from bloud.events e
  where e.app = status_at.app and e.at <= status_at.at order by e.seq desc limit 1
$$;
comment on function bloud.status_at(text, timestamptz) is
  'Returns the status of an app at a time. Returns null if the app had no row at that time, or if its '
  'events of that time are pruned.';
