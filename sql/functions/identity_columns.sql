create or replace function pgstream.identity_columns(relation oid, identity "char", index_name text default null)
returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case identity
    when 'f' then (
      select array_agg(a.attname::text order by a.attnum) from pg_attribute a
      where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')
    when 'n' then null
    else (
      select array_agg(a.attname::text order by array_position(i.indkey::int2[], a.attnum))
      from pg_index i
      join pg_class c on c.oid = i.indexrelid
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
      where i.indrelid = relation and i.indisunique and i.indimmediate and i.indisvalid
        and i.indpred is null and i.indexprs is null
        and array_position(i.indkey::int2[], a.attnum) < i.indnkeyatts
        and case when identity = 'd' then i.indisprimary
                 when index_name is null then i.indisreplident
                 else c.relname = index_name end
      having bool_and(a.attnotnull))
  end
$$;
comment on function pgstream.identity_columns(oid, "char", text) is 'Private. The columns that a replica identity (d, '
  'f, i, n) of the table holds; null where it is of no use to UPDATE and DELETE.';
