create or replace function pgstream.explain(
  relation regclass, operation text, row_data jsonb default null,
  out published boolean, out reason text, out subject text, out mode text, out stream text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  streamed pgstream.tables;
  whole oid := coalesce(pg_partition_root(relation), relation);
begin
  perform pgstream.check_word('operation', operation, '{insert,update,delete,truncate,snapshot,unknown}');
  select * into streamed from pgstream.tables t where t.relid in (relation,
    whole) order by t.relid = whole desc limit 1;
  published := false;
  if not found then
    reason := format('%s has no row in pgstream.tables', relation);
    return;
  end if;
  mode := coalesce(streamed.mode, (select s.mode from pgstream.settings s));
  stream := case mode when 'persistent' then coalesce(streamed.stream, pgstream.default_stream()) end;
  subject := pgstream.effective_subject(streamed, explain.operation);
  if not streamed.enabled then
    reason := 'the table''s row says enabled = false';
  elsif not pgstream.is_published(streamed.relid) then
    reason := (select p.problem from pgstream.table_problem(streamed) p);
  elsif operation <> 'unknown' and operation <> all (streamed.operations) then
    reason := format('operations has no %s', operation);
  elsif operation = 'truncate' and relation <> whole then
    reason := 'Postgres does not send TRUNCATE of a single partition';
  else
    published := true;
    reason := case when relation <> whole then format('as %s, the root of the partitions', whole::regclass)
                   else 'the table is streamed' end;
  end if;
end
$$;
comment on function pgstream.explain(regclass, text, jsonb) is 'Whether an operation on a table is published, why '
  '(not), and where to. row_data: a row as JSON, for subjects made of its columns; not used in this version.';
