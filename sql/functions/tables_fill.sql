-- BEFORE triggers fire for the row that an upsert then does not insert, too: so this one fills in, and never acts.
create or replace function pgstream.tables_fill() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  held oid;
begin
  if tg_op = 'UPDATE' and (new.table_schema, new.table_name) = (old.table_schema, old.table_name)
    and pgstream.is_home()
  then
    held := old.relid;
  end if;
  -- Settings belong to the table: a row that keeps its name keeps its table, though that was renamed since. Where
  -- there is none of the name either, the oid stays what it was; 0, which no table has, in a copy of the database.
  new.relid := case
    when pgstream.relation_name(held) is not null then held
    else coalesce(pgstream.relation_oid(new.table_schema, new.table_name), held, 0)
  end;
  new.updated_by := current_user;
  new.updated_at := now();
  return new;
end
$$;
comment on function pgstream.tables_fill() is 'Private. Trigger function: fills in the table''s oid, who and when.';
