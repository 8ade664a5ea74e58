create or replace trigger settings_refuse_truncate before truncate on pgstream.settings
  for each statement execute function pgstream.refuse_truncate();
comment on trigger settings_refuse_truncate on pgstream.settings is 'TRUNCATE would leave the publication as it is.';
