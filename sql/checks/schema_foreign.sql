-- The installer never touches a schema pgstream that it did not make.
select 'schema-foreign' as id,
       'error' as severity,
       'there is a schema pgstream that pgstream did not make' as what,
       'rename it: ALTER SCHEMA pgstream RENAME TO …' as hint
where to_regnamespace('pgstream') is not null and to_regclass('pgstream.migrations') is null;
