-- A table that was renamed streams under its new name, while its row still has the old one: both count.
-- Each INSERT into pgstream.tables reads all of it, so names that need no escape are not sent through a function.
create or replace view pgstream.subject_patterns as
  select t.table_schema, t.table_name, t.relid, named.place, named.template,
    pg_catalog.regexp_replace(
      pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(named.template,
        '{database}', s.database_token), '{schema}', tokens.schema_token), '{table}', tokens.table_token),
      '[^.]*\{operation\}[^.]*', '*', 'g') as pattern,
    known_as.schema_name as subject_schema,
    known_as.table_name as subject_table,
    coalesce(t.mode, s.mode) as mode,
    case coalesce(t.mode, s.mode) when 'persistent' then coalesce(t.stream, s.default_stream) end as stream
  from (
    select settings.mode, settings.subject, pgstream.default_stream() as default_stream,
      pgstream.escape_token(pgstream.alias()) as database_token
    from pgstream.settings offset 0  -- once, not for each table
  ) as s
  cross join pgstream.tables t
  cross join lateral (
    select t.table_schema, t.table_name
    union
    select n.nspname::text, c.relname::text
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid = t.relid
  ) as known_as (schema_name, table_name)
  cross join lateral (
    select
      case when known_as.schema_name ~ '^[A-Za-z0-9_-]+$' then known_as.schema_name
           else pgstream.escape_token(known_as.schema_name) end as schema_token,
      case when known_as.table_name ~ '^[A-Za-z0-9_-]+$' then known_as.table_name
           else pgstream.escape_token(known_as.table_name) end as table_token
  ) as tokens
  cross join lateral (
    select case when t.subject is null then 'settings.subject' else 'subject' end as place,
      coalesce(t.subject, s.subject) as template
    where t.event_subjects is null
      or not t.event_subjects ?& array['insert', 'update', 'delete', 'truncate', 'snapshot', 'unknown']
    union
    select 'event_subjects', e.value from pg_catalog.jsonb_each_text(t.event_subjects) as e
  ) as named
  where t.enabled
  union all
  -- Logical messages are events of a table pgstream.messages that does not exist.
  select 'pgstream', 'messages', null::oid, 'settings.subject', s.subject,
    pg_catalog.replace(
      pgstream.fill_subject(s.subject, pgstream.alias(), 'pgstream', 'messages'), '{operation}', 'unknown'),
    'pgstream', 'messages', 'persistent', pgstream.default_stream()
  from pgstream.settings s
  where s.message_prefixes <> '{}';
comment on view pgstream.subject_patterns is 'Private. The NATS subject patterns of each enabled table.';
