create or replace trigger tables_apply after insert or update or delete on pgstream.tables
  for each row execute function pgstream.tables_apply();
comment on trigger tables_apply on pgstream.tables is 'Judges the row, then changes publication and replica identity.';
