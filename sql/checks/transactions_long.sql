-- A slot begins only after every transaction that writes now; until it ends, one also holds back WAL.
select 'transaction-long' as id,
       'warning' as severity,
       format('process %s has had a writing transaction open for %s', pid, date_trunc('second', now() - xact_start)) as what,
       format('end it, or: select pg_terminate_backend(%s)', pid) as hint
from pg_stat_activity
where backend_xid is not null and backend_type = 'client backend' and xact_start < now() - interval '5 minutes'
order by xact_start;
