create or replace function pgstream.check_settings(changed pgstream.settings) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  prefix text;
begin
  perform pgstream.check_word('mode', changed.mode, '{persistent,ephemeral}');
  perform pgstream.check_word('replica_identity', changed.replica_identity, '{full,keep}');
  perform pgstream.check_word('numbers', changed.numbers, '{json,text}');
  perform pgstream.check_stream_name(changed.stream);
  if changed.database = '' then
    perform pgstream.refuse('pgstream_alias_empty', 'the alias of the database is empty',
      'Subjects and stream names are made of it.', 'Name it, or set it to null for the database''s own name.');
  end if;
  perform pgstream.check_stream_name(pgstream.default_stream());
  -- Messages are persistent, so the template must serve a stream whatever the mode.
  perform pgstream.check_template('settings.subject', changed.subject, pgstream.alias(), 'pgstream', 'messages',
    'persistent');
  if changed.slot_name !~ '^[a-z0-9_]{1,63}$' then
    perform pgstream.refuse('pgstream_slot_name', format('%s can''t be the name of a replication slot',
      quote_literal(changed.slot_name)),
      'Postgres allows 1 to 63 characters out of a-z, 0-9 and _.',
      format('The default is %s.', pgstream.default_slot_name(current_database())));
  end if;
  foreach prefix in array changed.message_prefixes loop
    if prefix is null or prefix like 'pgstream%' then
      perform pgstream.refuse('pgstream_message_prefix', format('message_prefixes can''t have %s',
        coalesce(quote_literal(prefix), 'null')),
        'Prefixes that begin with pgstream are pgstream''s own, and never published.', 'Use a prefix of the '
          'application''s.');
    end if;
  end loop;
end
$$;
comment on function pgstream.check_settings(pgstream.settings) is 'Private. Refuses settings that mean nothing.';
