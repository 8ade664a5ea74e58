create or replace view pgstream.table_status as
  select t.table_schema, t.table_name, t.enabled,
    (select pg_catalog.jsonb_object_agg(operation, pgstream.effective_subject(t, operation))
     from pg_catalog.unnest(t.operations) as operation) as subjects,
    coalesce(t.mode, s.mode) as mode,
    case coalesce(t.mode, s.mode) when 'persistent' then coalesce(t.stream, pgstream.default_stream()) end as stream,
    pgstream.key_columns(t.relid, t.key_columns) as key_columns,
    case c.relreplident when 'f' then 'full' when 'd' then 'default' when 'i' then 'index' when 'n' then 'nothing' end
      as replica_identity,
    trouble.problem, trouble.hint
  from pgstream.settings s
  cross join pgstream.tables t
  left join pg_catalog.pg_class c on c.oid = t.relid
  cross join lateral pgstream.table_problem(t) as trouble;
comment on view pgstream.table_status is 'Each table as it is streamed, and what is wrong with it.';
comment on column pgstream.table_status.table_schema is 'Schema, as the row names it.';
comment on column pgstream.table_status.table_name is 'Name, as the row names it.';
comment on column pgstream.table_status.enabled is 'False: stopped.';
comment on column pgstream.table_status.subjects is 'Object of operation to the subject of its events.';
comment on column pgstream.table_status.mode is 'persistent or ephemeral.';
comment on column pgstream.table_status.stream is 'JetStream stream; null where ephemeral.';
comment on column pgstream.table_status.key_columns is 'Columns of the event''s key; null where there is no key.';
comment on column pgstream.table_status.replica_identity is 'The table''s present identity: full, default, index, '
  'nothing.';
comment on column pgstream.table_status.problem is 'What is wrong; null if nothing is.';
comment on column pgstream.table_status.hint is 'What mends it.';
