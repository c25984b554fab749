-- Comments on the tables of the catalog. psql prints them with \d+.

comment on table bloud.catalog_cache is
  'Apps that can be installed, one per row. The orchestrator (worker process) reads them from the catalog '
  'files.';
comment on column bloud.catalog_cache.name is 'Name of the app.';
comment on column bloud.catalog_cache.yaml_content is 'Text of the catalog file, which is a YAML file.';
comment on column bloud.catalog_cache.updated_at is 'Time at which the row was last changed.';
comment on column bloud.catalog_cache.entry is 'Content of the catalog file as JSON.';
comment on column bloud.catalog_cache.display_name is 'Name that the web page shows.';
comment on column bloud.catalog_cache.description is 'Purpose of the app in one sentence.';
comment on column bloud.catalog_cache.category is 'Category of the app, for example identity.';
comment on column bloud.catalog_cache.version is 'Version of the app that the next install uses.';
comment on column bloud.catalog_cache.port is 'TCP port on which the app listens, or null.';
comment on column bloud.catalog_cache.is_system is
  'True for a system app, for example postgres, which can''t be uninstalled.';
comment on column bloud.catalog_cache.unavailable is
  'Reason why the app can''t be installed on this machine, or null.';
comment on column bloud.catalog_cache.warnings is 'Sentences about probable mistakes in the catalog file.';

comment on table bloud.catalog_problems is 'Catalog files that can''t be used, each with the reason.';
comment on column bloud.catalog_problems.file is 'Name of the catalog file, without the folder.';
comment on column bloud.catalog_problems.line is 'Number of the line that causes the problem, or null.';
comment on column bloud.catalog_problems.reason is 'Description of the problem in one sentence.';
comment on column bloud.catalog_problems.found_at is
  'Time at which the orchestrator (worker process) found the problem.';
