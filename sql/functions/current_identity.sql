create or replace function pgstream.current_identity(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select pgstream.identity_columns(c.oid, c.relreplident) from pg_class c where c.oid = relation $$;
comment on function pgstream.current_identity(oid) is 'Private. The columns of the table''s present replica identity; '
  'null where it is of no use.';
