create or replace function pgstream.find_table(name text) returns oid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_oids oid[] := array(select pgstream.find_tables(name));
  streamed_oids oid[] := array(select t.relid from pgstream.tables t where t.relid = any (found_oids));
  near text;
begin
  if cardinality(found_oids) = 1 then
    return found_oids[1];
  elsif cardinality(streamed_oids) = 1 then
    return streamed_oids[1];
  elsif cardinality(found_oids) > 1 then
    perform pgstream.refuse('pgstream_table_ambiguous', format('%s may be several tables', quote_literal(name)),
      format('It is %s.', (select string_agg(pgstream.relation_name(o), ' or ') from unnest(found_oids) as o)),
      'Quote schema and name as SQL does, such as {"\"my.schema\".orders"}.', '42P09');
  end if;
  near := (select string_agg(distinct format('%I.%I', n.nspname, c.relname), ', ')
           from pgstream.tables t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
           where lower(c.relname) = lower(regexp_replace(name, '^.*[.]|"', '', 'g')));
  perform pgstream.refuse('pgstream_table_missing', format('table %s does not exist', coalesce(name, 'null')),
    'A name is schema.table; without a schema it means public.',
    coalesce('There is ' || near || '.', 'SELECT * FROM pgstream.table_status; lists the tables that are streamed.'),
    '42P01');
  return null;
end
$$;
comment on function pgstream.find_table(text) is 'Private. Oid of the table that a name in pgstream.signals.tables '
  'means; refuses one that means none, or several.';
