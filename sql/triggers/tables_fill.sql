create or replace trigger tables_fill before insert or update on pgstream.tables
  for each row execute function pgstream.tables_fill();
comment on trigger tables_fill on pgstream.tables is 'Fills in the columns that nobody is asked for.';
