import assert from 'node:assert/strict'
import { it } from 'node:test'
import { appPath, parseRoute } from '../../public/state/route.js'

it('the address of the page names an app and an operation', () => {
  assert.deepEqual(parseRoute('/apps/node-red'), { app: 'node-red', operationId: null })
  assert.deepEqual(parseRoute(appPath('node-red', 7)), { app: 'node-red', operationId: '7' })
  for (const path of ['/', '/apps/', '/apps/a/operations/x', '/nowhere'])
    assert.deepEqual(parseRoute(path), { app: null, operationId: null })
  assert.equal(parseRoute('/apps/%E0%A4%A').app, '%E0%A4%A')
})
