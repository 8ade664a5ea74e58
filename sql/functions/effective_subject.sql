create or replace function pgstream.effective_subject(streamed pgstream.tables, operation text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select replace(pgstream.fill_subject(
    coalesce(streamed.event_subjects ->> operation, streamed.subject, s.subject), pgstream.alias(),
    coalesce(n.nspname::text, streamed.table_schema), coalesce(c.relname::text, streamed.table_name)),
    '{operation}', operation)
  from pgstream.settings s
  left join (pg_class c join pg_namespace n on n.oid = c.relnamespace) on c.oid = streamed.relid
$$;
comment on function pgstream.effective_subject(pgstream.tables, text) is 'Subject of a table''s events of that '
  'operation.';
