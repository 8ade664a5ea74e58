create or replace trigger streams_refuse_truncate before truncate on pgstream.streams
  for each statement execute function pgstream.refuse_truncate();
comment on trigger streams_refuse_truncate on pgstream.streams is 'TRUNCATE would leave the publication as it is.';
