create or replace function pgstream.check_full_identity(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  other record;
begin
  select p.pubname, pgstream.relation_name(r.prrelid) as name into other
  from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
  where p.pubname <> 'pgstream' and r.prattrs is not null and (p.pubupdate or p.pubdelete)
    and r.prrelid in (select pgstream.relation_tree(relation))
  limit 1;
  if found then
    perform pgstream.refuse('pgstream_full_beside_column_list',
      format('%s can''t get REPLICA IDENTITY FULL', other.name),
      format('Publication %I has a column list for it: with FULL the application''s UPDATE and DELETE would fail.',
        other.pubname),
      'Set replica_identity = ''keep''.', '55000');
  end if;
end
$$;
comment on function pgstream.check_full_identity(oid) is 'Private. Refuses REPLICA IDENTITY FULL beside another '
  'publication''s column list.';
