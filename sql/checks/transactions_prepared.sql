-- A prepared transaction keeps WAL, and keeps a slot or a snapshot from starting, for as long as it stands.
select 'transaction-prepared' as id,
       'warning' as severity,
       format('transaction %L has been prepared for %s', gid, date_trunc('second', now() - prepared)) as what,
       format('COMMIT PREPARED %L or ROLLBACK PREPARED %L', gid, gid) as hint
from pg_prepared_xacts
where database = current_database() and prepared < now() - interval '5 minutes'
order by prepared;
