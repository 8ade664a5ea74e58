create or replace trigger signals_refuse_truncate before truncate on pgstream.signals
  for each statement execute function pgstream.refuse_signals_change();
comment on trigger signals_refuse_truncate on pgstream.signals is 'Signals are history.';
