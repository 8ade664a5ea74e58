create or replace function pgstream.signals_fill() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgstream.check_signal(new);
  if not pgstream.is_home() then
    perform pgstream.refuse('pgstream_copy', 'this database is a copy of the one that pgstream was installed in',
      'Its tables would be published as those of the other one.', 'Run pgstream install here first.', '55000');
  end if;
  new.requested_by := current_user;
  new.requested_at := now();
  new.relids := null;
  if new.tables is null then
    return new;
  end if;
  if cardinality(new.tables) = 0 then
    perform pgstream.refuse('pgstream_signal_tables', 'tables is empty', 'There is nothing to do.',
      'Name tables such as {public.orders}, or leave tables out: that means all of them.');
  end if;
  new.relids := array(select pgstream.find_table(name) from unnest(new.tables) with ordinality as t (name, position)
                      order by position);
  new.tables := array(
    select coalesce(pgstream.relation_name(named.relid), (
      select format('%I.%I', s.table_schema, s.table_name) from pgstream.snapshots s
      where s.relid = named.relid order by s.id desc limit 1))
    from unnest(new.relids) with ordinality as named (relid, position) order by position);
  if cardinality(new.relids) <> (select count(distinct o) from unnest(new.relids) as o) then
    perform pgstream.refuse('pgstream_signal_tables', 'tables names one table twice',
      format('It is %s.', array_to_string(new.tables, ', ')), 'Name each table once.');
  end if;
  return new;
end
$$;
comment on function pgstream.signals_fill() is 'Private. Trigger function: judges a signal, fills in who and when, and '
  'writes the names as SQL quotes them.';
