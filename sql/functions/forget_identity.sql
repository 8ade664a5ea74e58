-- Runs as its owner, see remember_identity. What is still full is not forgotten, whoever asks.
create or replace function pgstream.forget_identity(relation oid) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from pgstream.former_identities f
  where f.table_oid = relation
    and not exists (select from pg_class c where c.oid = f.table_oid and c.relreplident = 'f')
$$;
comment on function pgstream.forget_identity(oid) is 'Private. Drops the note of a table that is gone or has another '
  'identity again.';
