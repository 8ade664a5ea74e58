create or replace function pgstream.identity_stays_full(former pgstream.former_identities) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when pgstream.identity_columns(former.table_oid, former.identity, former.index_name)
      is null
      then 'the former identity has no usable key'
    when exists (
      select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
      where p.pubname <> 'pgstream' and r.prqual is not null
        and (r.prrelid = former.table_oid or r.prrelid in (select pg_partition_ancestors(former.table_oid)::oid)))
      then 'another publication has a row filter on the table'
  end
$$;
comment on function pgstream.identity_stays_full(pgstream.former_identities) is 'Private. Why a table''s former '
  'identity can''t be given back without making its UPDATE and DELETE fail; null if it can.';
