create or replace function pgstream.row_shape(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select string_agg(format('%s %s %s', a.attnum, a.attname, a.atttypid), ', ' order by a.attnum)
  from pg_attribute a where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$$;
comment on function pgstream.row_shape(oid) is 'Private. Names and types of a table''s columns.';
