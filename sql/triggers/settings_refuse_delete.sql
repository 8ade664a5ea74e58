create or replace trigger settings_refuse_delete before delete on pgstream.settings
  for each row execute function pgstream.refuse_settings_delete();
comment on trigger settings_refuse_delete on pgstream.settings is 'There is always one row of settings.';
