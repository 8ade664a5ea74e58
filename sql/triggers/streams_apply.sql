create or replace trigger streams_apply after insert or update on pgstream.streams
  for each row execute function pgstream.streams_apply();
comment on trigger streams_apply on pgstream.streams is 'Refuses what JetStream would not take.';
