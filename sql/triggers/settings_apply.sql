create or replace trigger settings_apply after insert or update on pgstream.settings
  for each row execute function pgstream.settings_apply();
comment on trigger settings_apply on pgstream.settings is 'Judges the settings against every table.';
