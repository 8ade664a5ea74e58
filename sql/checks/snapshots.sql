-- needs: pgstream.snapshots
-- Snapshots that ended badly and were not taken again since, and those that the relay's role may not read.
select 'snapshot-failed' as id,
       'warning' as severity,
       format('snapshot %s of %I.%I failed: %s', latest.id, latest.table_schema, latest.table_name,
              coalesce(latest.error, 'no reason is known')) as what,
       concat_ws('; then ', latest.hint, 'INSERT the signal into pgstream.signals again') as hint
from (select distinct on (relid) * from pgstream.snapshots order by relid, id desc) as latest
where latest.state = 'failed' and exists (select from pgstream.tables as streamed where streamed.relid = latest.relid)
union all
select 'snapshot-rights',
       'error',
       format('the snapshot of %I.%I will fail: %s', asked.table_schema, asked.table_name, needed.problem),
       needed.remedy
from (select distinct relid, table_schema, table_name from pgstream.snapshots
      where state in ('pending', 'running', 'paused')) as asked
cross join lateral pgstream.relay_needs(asked.relid) as needed
where exists (select from pg_class where oid = asked.relid);
