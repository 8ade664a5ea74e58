create or replace function pgstream.version() returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$ select '0.1.0'::text $$;
comment on function pgstream.version() is 'Version of the control schema of pgstream in this database.';
