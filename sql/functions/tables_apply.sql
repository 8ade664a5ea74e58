-- AFTER ROW: an upsert fires it once, for what became of the row. It runs with the rights of who writes the row.
create or replace function pgstream.tables_apply() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '800ms'
as $$
declare
  deadline constant timestamptz := pgstream.lock_deadline();
  held oid;
begin
  if tg_op <> 'INSERT' then
    -- In a copy of the database the oid may by now be another table's.
    held := case when pgstream.is_home() then old.relid
                 else pgstream.relation_oid(old.table_schema, old.table_name) end;
    perform pgstream.check_rights(held);
    if tg_op = 'DELETE' or held is distinct from new.relid then
      perform pgstream.release_table(held, deadline);
    end if;
  end if;
  if tg_op = 'DELETE' then
    return null;
  end if;

  perform pgstream.check_values(new);
  -- Stopping a table works whatever has become of it.
  if new.enabled or tg_op = 'INSERT'
    or (new.table_schema, new.table_name) <> (old.table_schema, old.table_name)
  then
    perform pgstream.check_table(new);
    perform pgstream.check_not_twice(new);
  end if;
  perform pgstream.check_rights(new.relid);
  if new.enabled then
    perform pgstream.take_turn(deadline);  -- for tables_check_subjects, which then does not wait
  end if;
  perform pgstream.apply_table(new, deadline);
  if tg_op = 'INSERT' and new.initial_snapshot then
    perform pgstream.start_initial_snapshot(new);
  end if;
  return null;
end
$$;
comment on function pgstream.tables_apply() is 'Private. Trigger function: judges a row of pgstream.tables, then '
  'changes publication and replica identity.';
