create or replace function pgstream.check_word(place text, word text, allowed text[]) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if word <> all (allowed) then
    perform pgstream.refuse('pgstream_unknown_word', format('%s is not one that %s knows: %s', quote_literal(word),
      place,
      array_to_string(allowed, ', ')), 'The relay would not know what to do.',
      format('Use one of: %s.', array_to_string(allowed, ', ')));
  end if;
end
$$;
comment on function pgstream.check_word(text, text, text[]) is 'Private. Refuses a word that is none of the allowed; '
  'null passes.';
