create or replace function pgstream.table_problem(streamed pgstream.tables, out problem text, out hint text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  here pg_class;
  by_name oid := pgstream.relation_oid(streamed.table_schema, streamed.table_name);
  named text := pgstream.relation_name(streamed.relid);
  this_row text := format('WHERE (table_schema, table_name) = (%L, %L);', streamed.table_schema, streamed.table_name);
  touch text := 'UPDATE pgstream.tables SET enabled = enabled ' || this_row;
  wanted text := pgstream.wanted_identity(streamed);
  odd_partition oid;
begin
  select * into here from pg_class c where c.oid = streamed.relid;
  if not pgstream.is_home() then
    problem := 'this database is a copy of the one that the row was made in';
    hint := 'Give it an alias and a stream of its own (pgstream.settings), then run pgstream install.';
  elsif here.oid is null and by_name is not null then
    problem := 'the table was dropped and made again; the new one is not streamed';
    hint := touch;
  elsif here.oid is null then
    problem := 'the table was dropped';
    hint := 'DELETE FROM pgstream.tables ' || this_row;
  elsif by_name is distinct from streamed.relid then
    problem := format('the table is now %s, and goes on under that name', named);
    hint := (select format('UPDATE pgstream.tables SET table_schema = %L, table_name = %L %s', n.nspname,
      here.relname, this_row)
             from pg_namespace n where n.oid = here.relnamespace);
  elsif not streamed.enabled then
    return;
  elsif here.relispartition then
    problem := format('the table is now a partition of %s', pgstream.relation_name(pg_partition_root(here.oid)));
    hint := 'Stream the root in its place: DELETE this row and INSERT one for the root.';
  elsif not pgstream.is_published(here.oid) then
    problem := 'the table is not in publication pgstream';
    hint := touch;
  elsif pgstream.is_full(here.oid) and pgstream.full_needs_more(here.oid) then
    problem := 'the table has a generated column and REPLICA IDENTITY FULL: its UPDATE and DELETE fail';
    hint := 'UPDATE pgstream.tables SET replica_identity = ''keep'' ' || this_row;
  elsif pgstream.current_identity(here.oid) is null then
    problem := 'the table has no usable replica identity: its UPDATE and DELETE fail';
    hint := format('ALTER TABLE %s ADD PRIMARY KEY (…); or UPDATE pgstream.tables SET replica_identity = ''full'' '
      '%s', named, this_row);
  else
    odd_partition := (
      select c.oid from pgstream.relation_tree(here.oid) as tree (oid) join pg_class c on c.oid = tree.oid
      where (wanted = 'full' and c.relreplident <> 'f') or pgstream.current_identity(c.oid) is null limit 1);
    if odd_partition is not null then
      problem := format('%s has not the replica identity %s', pgstream.relation_name(odd_partition),
        case wanted when 'full' then 'full: its events have the key alone as before' else 'of its root' end);
      hint := touch;
    elsif not streamed.key_columns <@ coalesce(pgstream.current_identity(here.oid), '{}') then
      problem := 'key_columns has columns that are gone, or that the replica identity does not cover';
      hint := 'UPDATE pgstream.tables SET key_columns = null ' || this_row;
    end if;
  end if;
end
$$;
comment on function pgstream.table_problem(pgstream.tables) is 'Private. What is wrong with a streamed table, and the '
  'statement that mends it.';
