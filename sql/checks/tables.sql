-- needs: pgstream.table_status
-- Tables that are not streamed as their row says, each with the statement that mends it.
select 'table-problem' as id,
       'error' as severity,
       format('%I.%I: %s', table_schema, table_name, problem) as what,
       hint
from pgstream.table_status
where problem is not null
order by table_schema, table_name;
