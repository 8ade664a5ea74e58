create or replace trigger tables_check_updated after update on pgstream.tables
  referencing new table as changed
  for each statement execute function pgstream.tables_check_subjects();
comment on trigger tables_check_updated on pgstream.tables is 'Judges the subjects of the rows that were updated.';
