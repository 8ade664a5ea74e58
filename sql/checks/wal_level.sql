-- A preflight query: read-only, works before anything is installed; no row means that all is well.
-- Columns of every check: id, severity (error, warning, info), what, hint.
select 'wal-level' as id,
       'error' as severity,
       format('wal_level is %s: Postgres writes no logical changes into its WAL', current_setting('wal_level')) as what,
       'ALTER SYSTEM SET wal_level = logical; then restart the server (managed servers have a parameter for it)' as hint
where current_setting('wal_level') <> 'logical';
