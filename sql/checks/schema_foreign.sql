-- The installer never touches a schema pgstream that it did not make.
select 'schema-foreign' as id,
       'error' as severity,
       'there is a schema pgstream that pgstream did not make' as what,
       'rename it: ALTER SCHEMA pgstream RENAME TO …' as hint
from pg_namespace as found
where found.nspname = 'pgstream'
  and not exists (select from pg_class where relnamespace = found.oid and relname = 'migrations');
