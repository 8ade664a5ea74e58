create or replace function pgstream.default_slot_name(database_name text) returns text
language sql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select 'pgstream_' || case
    when plain = database_name and length(plain) <= 54 then plain
    else left(plain, 45) || '_' || left(md5(database_name), 8)
  end
  from regexp_replace(lower(database_name collate "C"), '[^a-z0-9_]', '_', 'g') as plain
$$;
comment on function pgstream.default_slot_name(text) is 'Private. pgstream_ and the database''s name in lower case, '
  'other characters _, with a hash where that changed or cut it.';
