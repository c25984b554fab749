-- History: the status of an app at an earlier time, read from its events. The view bloud.history lists them.
--
--   event (to_status, at) → valid until the next event of the app → to_status null: the app was deleted
--
-- Errors raised: none.

create or replace function bloud.status_at(app text, at timestamptz) returns text
language sql stable as $$
  select e.to_status from bloud.events e
  where e.app = status_at.app and e.at <= status_at.at order by e.seq desc limit 1
$$;
comment on function bloud.status_at(text, timestamptz) is
  'Returns the status of an app at a time. Null if the app had no row then, or if its events of that time '
  'are pruned.';
