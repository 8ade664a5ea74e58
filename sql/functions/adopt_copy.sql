-- A clone keeps the oids of its tables, a restored dump does not: so names decide here, whatever relid says.
create or replace function pgstream.adopt_copy() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  former_stream text := pgstream.default_stream();
begin
  delete from pgstream.former_identities f where pgstream.relation_oid(f.table_schema, f.table_name) is null;
  update pgstream.former_identities f
  set table_oid = here.oid, root_oid = coalesce(pg_partition_root(here.oid), here.oid)
  from (select i.table_oid, pgstream.relation_oid(i.table_schema, i.table_name) as oid
        from pgstream.former_identities i) as here
  where here.table_oid = f.table_oid;

  -- tables_fill finds the oids; publication and identities came with the copy, and table_status shows where not.
  alter table pgstream.tables disable trigger tables_apply;
  update pgstream.tables set enabled = enabled;
  alter table pgstream.tables enable trigger tables_apply;

  -- Last: until here relid is known not to be trusted.
  update pgstream.settings s
  set database_oid = d.oid, database_at_install = d.datname, slot_name = pgstream.default_slot_name(d.datname)
  from pg_database d where d.datname = current_database();
  -- What was asked for there is not asked for here, and what relays noted there is not so here.
  delete from pgstream.adoptions where done_at is null;
  update pgstream.snapshots s
  set state = 'stopped', finished_at = now(), error = 'it was asked for in the database that this one is a copy of'
  where s.state in ('pending', 'running', 'paused');
  delete from pgstream.relays;
  delete from pgstream.relay_positions;
  if former_stream <> pgstream.default_stream() then
    delete from pgstream.streams s where s.name = former_stream
      and not exists (select from pgstream.tables t where t.stream = former_stream);
  end if;
  insert into pgstream.streams (name) values (pgstream.default_stream()) on conflict do nothing;
end
$$;
comment on function pgstream.adopt_copy() is 'Private. In a clone or a restored dump: the settings become this '
  'database''s own, with a slot name of its own.';
