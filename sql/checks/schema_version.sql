-- needs: pgstream.migrations
-- The schema's version against that of the installer that asks, which sets pgstream.newest_migration.
select case when installed.number < known.number then 'schema-older' else 'schema-newer' end as id,
       'warning' as severity,
       format('schema pgstream is at migration %s, this program at %s', installed.number, known.number) as what,
       case when installed.number < known.number then 'pgstream install'
            else 'upgrade this program: pip install --upgrade pgstream-nats' end as hint
from (select max(id) as number from pgstream.migrations) as installed
cross join (select nullif(current_setting('pgstream.newest_migration', true), '')::int as number) as known
where installed.number <> known.number;
