create or replace function pgstream.streams_apply() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  reason text;
begin
  perform pgstream.check_stream_name(new.name);
  perform pgstream.check_word('storage', new.storage, '{file,memory}');
  perform pgstream.check_word('discard', new.discard, '{old,new}');
  reason := case
    when new.replicas not between 1 and 5 then 'replicas is not 1 to 5'
    when new.max_bytes <= 0 then 'max_bytes is not above 0; null means no limit'
    when new.duplicate_window < interval '100 ms' then 'duplicate_window is below 100 ms'
    when new.max_age < new.duplicate_window then 'max_age is below duplicate_window; null means for ever'
    when extract(year from new.max_age) <> 0 or extract(month from new.max_age) <> 0
      or extract(year from new.duplicate_window) <> 0 or extract(month from new.duplicate_window) <> 0
      then 'a month has no fixed length; give max_age and duplicate_window in days'
  end;
  if reason is not null then
    perform pgstream.refuse('pgstream_stream_settings', format('stream %s can''t be kept so: %s', new.name, reason),
      'JetStream would refuse the stream, and everything in this database would wait.',
      'The defaults are max_age 7 days, duplicate_window 2 minutes, no max_bytes, replicas null.');
  end if;
  return null;
end
$$;
comment on function pgstream.streams_apply() is 'Private. Trigger function: refuses what JetStream would not take.';
