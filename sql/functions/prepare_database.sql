-- The last step of an install, done again by each. In a copy of the database it makes the settings the copy's own.
create or replace function pgstream.prepare_database() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from pgstream.settings) then
    insert into pgstream.settings (one_row) values (true);
    -- With the settings only: a stream's row that was deleted on purpose stays away.
    insert into pgstream.streams (name) values (pgstream.default_stream()) on conflict do nothing;
  elsif not pgstream.is_home() then
    perform pgstream.adopt_copy();
  end if;
end
$$;
comment on function pgstream.prepare_database() is 'Private. Fills in the row of settings and that of the default '
  'stream.';
