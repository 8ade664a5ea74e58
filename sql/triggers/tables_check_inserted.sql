create or replace trigger tables_check_inserted after insert on pgstream.tables
  referencing new table as changed
  for each statement execute function pgstream.tables_check_subjects();
comment on trigger tables_check_inserted on pgstream.tables is 'Judges the subjects of the rows that were inserted.';
