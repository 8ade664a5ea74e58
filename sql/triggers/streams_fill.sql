create or replace trigger streams_fill before insert or update on pgstream.streams
  for each row execute function pgstream.streams_fill();
comment on trigger streams_fill on pgstream.streams is 'Fills in the columns that nobody is asked for.';
