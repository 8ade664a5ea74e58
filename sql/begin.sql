-- Two installs at once take turns. psql runs statement by statement, so the turn is held by the session; an installer
-- runs all files in one transaction, so it is held until that commits, too. finish.sql ends the session's part.
do $$
begin
  perform pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('pgstream install', 0));
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgstream install', 0));
end
$$;

do $$
begin
  if to_regnamespace('pgstream') is not null and to_regclass('pgstream.migrations') is null then
    raise exception using
      errcode = 'duplicate_schema',
      constraint = 'pgstream_schema_not_ours',
      message = 'schema "pgstream" exists and is not ours',
      detail = 'It has no table pgstream.migrations, so another program or person made it. Nothing was changed.',
      hint = 'Rename or drop that schema (ALTER SCHEMA pgstream RENAME TO …), then install again.';
  end if;
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'read_only_sql_transaction',
      constraint = 'pgstream_is_standby',
      message = 'this server is a standby',
      detail = 'The control schema reaches a standby by replication, from its primary.',
      hint = 'Connect to the primary and install there.';
  end if;
end
$$;
