create or replace trigger signals_apply after insert on pgstream.signals
  for each row execute function pgstream.signals_apply();
comment on trigger signals_apply on pgstream.signals is 'Writes the pending rows of pgstream.snapshots.';
