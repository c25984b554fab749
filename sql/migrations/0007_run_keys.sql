-- Adds to a rebuild the random part of the ids of its runs. A rebuild whose switch was started before this
-- migration has none, so that its runs are found again.

alter table bloud.rebuilds add column run_key text;
