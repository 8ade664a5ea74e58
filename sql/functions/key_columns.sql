create or replace function pgstream.key_columns(relation oid, chosen text[]) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(chosen, pgstream.identity_columns(relation, 'd'), pgstream.identity_columns(relation, 'i'))
$$;
comment on function pgstream.key_columns(oid, text[]) is 'Key columns of a table''s events: those chosen, else the '
  'primary key, else the index of the replica identity.';
