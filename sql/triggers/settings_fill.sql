create or replace trigger settings_fill before insert or update on pgstream.settings
  for each row execute function pgstream.settings_fill();
comment on trigger settings_fill on pgstream.settings is 'Fills in the columns that nobody is asked for.';
