create or replace view pgstream.subject_patterns as
  select t.table_schema, t.table_name, t.relid, named.place, named.template,
    pgstream.subject_pattern(named.template, pgstream.alias(),
      coalesce(n.nspname::text, t.table_schema), coalesce(c.relname::text, t.table_name)) as pattern,
    coalesce(n.nspname::text, t.table_schema) as subject_schema,
    coalesce(c.relname::text, t.table_name) as subject_table,
    coalesce(t.mode, s.mode) as mode,
    case coalesce(t.mode, s.mode) when 'persistent' then coalesce(t.stream, pgstream.default_stream()) end as stream
  from pgstream.settings s
  cross join pgstream.tables t
  left join pg_catalog.pg_class c on c.oid = t.relid
  left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select case when t.subject is null then 'settings.subject' else 'subject' end as place, coalesce(t.subject, s.subject) as template
    where t.event_subjects is null
      or not t.event_subjects ?& array['insert', 'update', 'delete', 'truncate', 'snapshot', 'unknown']
    union
    select 'event_subjects', e.value from pg_catalog.jsonb_each_text(t.event_subjects) as e
  ) as named
  where t.enabled
  union all
  -- Logical messages are events of a table pgstream.messages that does not exist.
  select 'pgstream', 'messages', null::oid, 'settings.subject', s.subject,
    pgstream.subject_pattern(s.subject, pgstream.alias(), 'pgstream', 'messages'), 'pgstream', 'messages',
    'persistent', pgstream.default_stream()
  from pgstream.settings s
  where s.message_prefixes <> '{}';
comment on view pgstream.subject_patterns is 'Private. The NATS subject patterns of each enabled table.';
