create or replace trigger tables_refuse_truncate before truncate on pgstream.tables
  for each statement execute function pgstream.refuse_truncate();
comment on trigger tables_refuse_truncate on pgstream.tables is 'TRUNCATE would leave the publication as it is.';
