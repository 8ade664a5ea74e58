-- Overlap of two patterns a and b is  b ~ pattern_regex(a, true);  a contains b is  b ~ pattern_regex(a, false).
-- A regular expression, because one is compiled once and then held against the patterns of all other tables.
create or replace function pgstream.pattern_regex(pattern text, overlap boolean) returns text
language sql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select '^' || string_agg(
    case when token = '*' then '[^.]+'
         when overlap then '(?:' || quoted || '|\*)'
         else quoted end,
    '\.' order by position) || '$'
  from unnest(string_to_array(pattern, '.')) with ordinality as t (token, position),
       regexp_replace(token, '([][\\^$.|?*+(){}])', '\\\1', 'g') as quoted
$$;
comment on function pgstream.pattern_regex(text, boolean) is 'Private. Regular expression of the patterns that '
  'overlap with this one, or (overlap false) that it contains.';
