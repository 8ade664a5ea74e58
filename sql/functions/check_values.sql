create or replace function pgstream.check_values(changed pgstream.tables) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  operations constant text[] := '{insert,update,delete,truncate,snapshot}';
  word text;
begin
  perform pgstream.check_available(changed);
  perform pgstream.check_word('mode', changed.mode, '{persistent,ephemeral}');
  perform pgstream.check_word('replica_identity', changed.replica_identity, '{full,keep}');
  perform pgstream.check_word('numbers', changed.numbers, '{json,text}');
  perform pgstream.check_stream_name(changed.stream);
  if cardinality(changed.operations) = 0 then
    perform pgstream.refuse('pgstream_no_operations', 'operations is empty', 'Nothing of the table would be published.',
      'Name some of insert, update, delete, truncate, snapshot; or set enabled = false.');
  end if;
  foreach word in array changed.operations loop
    perform pgstream.check_word('operations', coalesce(word, 'null'), operations);
  end loop;
  if changed.event_subjects is not null then
    if jsonb_typeof(changed.event_subjects) <> 'object' or jsonb_path_exists(changed.event_subjects, 'strict $.* ? '
      '(@.type() != "string")') then
      perform pgstream.refuse('pgstream_event_subjects', 'event_subjects is not an object of operation to template',
        format('It is %s.', jsonb_typeof(changed.event_subjects)), 'Write it so: {"insert": '
          '"{database}.new.{table}"}.');
    end if;
    for word in select jsonb_object_keys(changed.event_subjects) loop
      perform pgstream.check_word('event_subjects', word, operations || text 'unknown');
    end loop;
  end if;
end
$$;
comment on function pgstream.check_values(pgstream.tables) is 'Private. Refuses values that mean nothing, whatever '
  'the table.';
