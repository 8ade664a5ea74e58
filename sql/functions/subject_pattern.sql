create or replace function pgstream.subject_pattern(template text, database text, table_schema text, table_name text)
returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select regexp_replace(
    pgstream.fill_subject(template, database, table_schema, table_name), '[^.]*\{operation\}[^.]*', '*', 'g')
$$;
comment on function pgstream.subject_pattern(text, text, text, text) is 'The NATS subject pattern of a template: '
  '{database}, {schema}, {table} filled in, a token that holds {operation} becomes *.';
