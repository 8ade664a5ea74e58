-- The settings fix how intervals and times are printed, whoever calls.
create or replace function pgstream.control_rows() returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set intervalstyle = 'postgres'
as $$
  select jsonb_build_object(
    'settings', (select to_jsonb(s) from pgstream.settings s),
    'streams', (select coalesce(jsonb_agg(to_jsonb(s) order by s.name), '[]') from pgstream.streams s),
    'tables', (select coalesce(jsonb_agg(to_jsonb(t) order by t.table_schema, t.table_name), '[]')
               from pgstream.tables t))
$$;
comment on function pgstream.control_rows() is 'Private. The control tables as one object, as pgstream.relay_state '
  'keeps them.';
