-- Older majors lack what pgstream needs; older minors have a walsender that can miss a table added beside an open writer.
select case when number < 150000 then 'version-unsupported' else 'version-minor' end as id,
       case when number < 150000 then 'error' else 'warning' end as severity,
       case when number < 150000
            then format('PostgreSQL %s is older than 15', current_setting('server_version'))
            else format('PostgreSQL %s: its walsender can miss a table that is added, or go on sending a column that is '
                        'excluded, while a transaction writes to it', current_setting('server_version'))
       end as what,
       case when number < 150000 then 'upgrade to PostgreSQL 15 or newer'
            else 'upgrade to the newest minor release (15.13, 16.9 and 17.5 mended it)' end as hint
from (select current_setting('server_version_num')::int as number) as server
where number < 150013 or number between 160000 and 160008 or number between 170000 and 170004;
