-- From 18 on Postgres counts generated columns into REPLICA IDENTITY FULL, and refuses UPDATE and DELETE where the
-- publication does not carry them.
create or replace function pgstream.full_needs_more(relation oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select current_setting('server_version_num')::integer >= 180000 and exists (
    select from pg_attribute a
    where a.attrelid in (select pgstream.relation_tree(relation)) and a.attgenerated <> '' and not a.attisdropped)
$$;
comment on function pgstream.full_needs_more(oid) is 'Private. Whether the table or a partition has a generated column '
  'that makes UPDATE and DELETE fail under REPLICA IDENTITY FULL.';
