create or replace trigger signals_refuse_change before update or delete on pgstream.signals
  for each row execute function pgstream.refuse_signals_change();
comment on trigger signals_refuse_change on pgstream.signals is 'Signals are history.';
