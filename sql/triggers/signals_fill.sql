create or replace trigger signals_fill before insert on pgstream.signals
  for each row execute function pgstream.signals_fill();
comment on trigger signals_fill on pgstream.signals is 'Judges the row, and fills in the columns that nobody is asked '
  'for.';
