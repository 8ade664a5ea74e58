create or replace function pgstream.fill_subject(template text, database text, table_schema text, table_name text)
returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select replace(replace(replace(template,
    '{database}', pgstream.escape_token(database)),
    '{schema}', pgstream.escape_token(table_schema)),
    '{table}', pgstream.escape_token(table_name))
$$;
comment on function pgstream.fill_subject(text, text, text, text) is 'A subject template with {database}, {schema} '
  'and {table} filled in, escaped.';
