-- Function status_at(), which returns the status of an app at an earlier time.

create or replace function bloud.status_at(app text, at timestamptz) returns text
language sql stable as $$
  select e.to_status from bloud.events e
  where e.app = status_at.app and e.at <= status_at.at order by e.seq desc limit 1
$$;
comment on function bloud.status_at(text, timestamptz) is
  'Returns the status that an app had at a time, or null if not known.';
