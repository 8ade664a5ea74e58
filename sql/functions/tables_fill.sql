-- BEFORE triggers fire for the row that an upsert then does not insert, too: so this one fills in, and never acts.
create or replace function pgstream.tables_fill() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.relid := pgstream.relation_oid(new.table_schema, new.table_name);
  -- Settings belong to the table: a row that keeps its name keeps its table, though that was renamed since.
  if tg_op = 'UPDATE' and (new.table_schema, new.table_name) = (old.table_schema, old.table_name)
    and pgstream.relation_name(old.relid) is not null and pgstream.is_home()
  then
    new.relid := old.relid;
  end if;
  new.updated_by := current_user;
  new.updated_at := now();
  return new;
end
$$;
comment on function pgstream.tables_fill() is 'Private. Trigger function: fills in the table''s oid, who and when.';
