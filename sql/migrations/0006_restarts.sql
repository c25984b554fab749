-- Restarts of apps: an app whose process ended and was started again keeps its status, and gets an event.

insert into bloud.status_transitions (from_status, to_status, meaning)
values ('running', 'running', 'its process ended and the host started it again');

alter table bloud.apps add column restart_series text, add column restarts integer not null default 0;

create index events_by_restart on bloud.events (app, seq) where from_status = to_status;
