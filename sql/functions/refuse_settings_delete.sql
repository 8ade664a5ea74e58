create or replace function pgstream.refuse_settings_delete() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgstream.refuse('pgstream_settings_delete', 'the row of pgstream.settings can''t be deleted',
    'Every table''s settings rest on it.',
    'UPDATE pgstream.settings SET … = DEFAULT to go back to a default; pgstream uninstall takes pgstream away.',
      '0A000');
  return null;
end
$$;
comment on function pgstream.refuse_settings_delete() is 'Private. Trigger function: refuses DELETE of the settings.';
