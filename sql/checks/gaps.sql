-- needs: pgstream.gaps
-- Changes that were lost and that no stream has been told of yet.
select 'gap-unpublished' as id,
       'warning' as severity,
       format('a gap from %s to %s (%s) is not announced in the streams yet', coalesce(from_lsn::text, '?'),
              coalesce(to_lsn::text, '?'), reason) as what,
       'a running relay announces it; then reload the tables by a snapshot' as hint
from pgstream.gaps
where published_at is null
order by created_at;
