create or replace function pgstream.check_stream_name(stream text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if stream !~ '^[!-~]+$' or stream ~ '[.*>/\\]' or octet_length(stream) > 255 then
    perform pgstream.refuse('pgstream_stream_name', format('%s can''t be the name of a JetStream stream',
      quote_literal(stream)),
      'NATS allows 1 to 255 printable ASCII characters without space . * > / \.',
      'Use letters, digits, _ and -, such as ORDERS.');
  end if;
end
$$;
comment on function pgstream.check_stream_name(text) is 'Private. Refuses a name that JetStream would not take; null '
  'passes.';
