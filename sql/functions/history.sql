-- Function status_at(), which reads the status of an app at an earlier time from the events of the app.
-- Errors raised: none.

create or replace function bloud.status_at(app text, at timestamptz) returns text
language sql stable as $$
  select e.to_status from bloud.events e
  where e.app = status_at.app and e.at <= status_at.at order by e.seq desc limit 1
$$;
comment on function bloud.status_at(text, timestamptz) is
  'Returns the status of an app at a time, or null if not known.';
