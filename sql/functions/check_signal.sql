create or replace function pgstream.check_signal(changed pgstream.signals) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  types constant text[] := '{incremental-snapshot,full-snapshot,pause-snapshot,resume-snapshot,stop-snapshot}';
  meant text := (select t from unnest(types) as t
                 where split_part(t, '-', 1) = split_part(translate(lower(btrim(changed.type)), '_ ', '--'), '-', 1));
  name text;
  content jsonb;
begin
  if changed.type is null or changed.type <> all (types) then
    perform pgstream.refuse('pgstream_signal_type', format('there is no signal of type %s',
      coalesce(quote_literal(changed.type), 'null')), 'The relay would not know what to do.',
      coalesce(format('You may mean %s. ', meant), '') || format('Use one of: %s.', array_to_string(types, ', ')));
  end if;
  if jsonb_typeof(changed.options) is distinct from 'object' then
    perform pgstream.refuse('pgstream_signal_options', 'options is not an object',
      format('It is %s.', coalesce(jsonb_typeof(changed.options), 'null')),
      'Leave it out, or write {"block_count": 64}.');
  end if;
  if changed.type not in ('incremental-snapshot', 'full-snapshot') and changed.options <> '{}' then
    perform pgstream.refuse('pgstream_signal_options', format('%s has no options', changed.type),
      'row_filter and block_count are given when a snapshot is asked for.', 'Leave options out.');
  end if;
  for name, content in select * from jsonb_each(changed.options) loop
    if name not in ('row_filter', 'block_count') then
      perform pgstream.refuse('pgstream_signal_options', format('there is no option %s', quote_literal(name)),
        'Rather than be ignored, it is refused.', 'The options are row_filter and block_count.');
    elsif name = 'row_filter' and (jsonb_typeof(content) <> 'string' or btrim(content #>> '{}') = '') then
      perform pgstream.refuse('pgstream_signal_options', 'option row_filter is not a text with an expression',
        format('It is %s.', content), 'Write it as in WHERE: {"row_filter": "status = ''new''"}.');
    elsif name = 'block_count' and not (case when jsonb_typeof(content) = 'number'
      then (content #>> '{}')::numeric between 1 and 1000000 and (content #>> '{}')::numeric % 1 = 0 else false end)
    then
      perform pgstream.refuse('pgstream_signal_options', 'option block_count is not a whole number from 1 to 1000000',
        format('It is %s.', content), 'Leave it out: the relay chooses, and adapts while it reads.');
    end if;
  end loop;
end
$$;
comment on function pgstream.check_signal(pgstream.signals) is 'Private. Refuses a signal whose type or options mean '
  'nothing.';
