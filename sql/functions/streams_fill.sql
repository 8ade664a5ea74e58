create or replace function pgstream.streams_fill() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_by := current_user;
  new.updated_at := now();
  return new;
end
$$;
comment on function pgstream.streams_fill() is 'Private. Trigger function: fills in who and when.';
