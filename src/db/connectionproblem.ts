/** Finds out whether connections to the database are sessions of their own. */
import { connected } from './database.ts'
import { POOLER } from './explanation.ts'
import { sessionUrl } from './url.ts'

/**
 * Returns a sentence if the connections of this URL are not sessions of their own, or null. A connection
 * pooler can drop the settings of a session, or give the next transaction to another session.
 */
export async function poolerProblem(url: string): Promise<string | null> {
  const checked = sessionUrl(url, 'bloud-check')
  const isShared = await connected(checked, async (one) => {
    const read = 'select pg_backend_pid() as pid, current_setting($$TimeZone$$) as zone'
    const first = (await one.query(read)).rows[0]
    if (first.zone !== 'UTC') return true
    return connected(checked, async (other) => {
      await other.query('begin')
      const { pid } = (await other.query(read)).rows[0]
      const again = (await one.query(read)).rows[0]
      return pid === first.pid || again.pid !== first.pid
    })
  })
  return isShared ? POOLER : null
}
