create or replace function pgstream.is_published(relation oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
    where p.pubname = 'pgstream' and r.prrelid = relation)
$$;
comment on function pgstream.is_published(oid) is 'Private. Whether the table is in publication pgstream.';
