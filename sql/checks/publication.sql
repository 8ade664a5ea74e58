-- needs: pgstream.settings
-- The publication as the installer makes it; the control tables travel in it.
select finding.*
from (select 'pgstream'::name as pubname) as wanted
left join pg_publication as publication on publication.pubname = wanted.pubname
cross join lateral (
    select 'publication-missing' as id,
           'error' as severity,
           'publication pgstream does not exist: nothing is decoded' as what,
           'stop the relay; pgstream install makes the publication, and --new-slot a slot that knows it' as hint
    where publication.oid is null
    union all
    select 'publication-options',
           'error',
           'publication pgstream does not publish all operations by the partitioned root',
           'ALTER PUBLICATION pgstream SET (publish = ''insert, update, delete, truncate'', publish_via_partition_root = true)'
    where not (publication.pubinsert and publication.pubupdate and publication.pubdelete and publication.pubtruncate
               and publication.pubviaroot)
    union all
    select 'publication-control',
           'error',
           format('control table pgstream.%s is not in publication pgstream: settings do not reach the relay', missing.name),
           'pgstream install puts it back'
    from unnest(array['settings', 'signals', 'streams', 'tables']) as missing (name)
    where publication.oid is not null
      and not exists (select from pg_publication_rel as member
                      where member.prpubid = publication.oid
                        and member.prrelid = to_regclass('pgstream.' || missing.name))
) as finding;
