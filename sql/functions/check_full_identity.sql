create or replace function pgstream.check_full_identity(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  other record;
begin
  if pgstream.full_needs_more(relation) then
    perform pgstream.refuse('pgstream_full_beside_generated_column',
      format('%s can''t be streamed with REPLICA IDENTITY FULL', pgstream.relation_name(relation)),
      'It has a generated column: from PostgreSQL 18 on, the application''s UPDATE and DELETE would fail.',
      'Set replica_identity = ''keep'', on a table with a primary key; its own identity must not be FULL either.',
      '55000');
  end if;
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
comment on function pgstream.check_full_identity(oid) is 'Private. Refuses REPLICA IDENTITY FULL beside a '
  'generated column or another publication''s column list.';
