-- BEFORE triggers fire for the row that an upsert then does not insert, too: so this one fills in, and never acts.
create or replace function pgstream.settings_fill() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  here oid := (select d.oid from pg_database d where d.datname = current_database());
begin
  if tg_op = 'UPDATE' and old.database_oid = here then
    new.database_oid := old.database_oid;
    new.database_at_install := old.database_at_install;
  end if;
  new.database_oid := coalesce(new.database_oid, here);
  new.database_at_install := coalesce(new.database_at_install, current_database());
  new.slot_name := coalesce(new.slot_name, pgstream.default_slot_name(current_database()));
  new.updated_by := current_user;
  new.updated_at := now();
  return new;
end
$$;
comment on function pgstream.settings_fill() is 'Private. Trigger function: fills in what nobody is asked for.';
