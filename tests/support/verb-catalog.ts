/** Catalog for tests of install, uninstall and other requests, with apps for each reason of refusal. */
import { entry } from './sql.ts'

export const VERB_CATALOG = [
  entry('flow', { port: 1880 }),
  entry('rival', { port: 1880 }),
  entry('container', { unavailable: 'It is published as a container image only.' }),
  entry('db', { port: 5432, isSystem: true }),
  entry('reader', {
    integrations: { database: { required: true, compatible: [{ app: 'db', default: true }] } },
  }),
  entry('reader2', {
    integrations: { database: { required: true, compatible: [{ app: 'db', default: true }] } },
  }),
  entry('picky', {
    integrations: { store: { required: true, compatible: [{ app: 'disk' }, { app: 'cloud' }] } },
  }),
  entry('multi', {
    integrations: {
      stores: { required: true, multi: true, compatible: [{ app: 'disk', default: true }, { app: 'cloud' }] },
    },
  }),
  entry('both', {
    integrations: {
      flows: { required: true, multi: true, compatible: [{ app: 'flow', default: true }, { app: 'rival' }] },
    },
  }),
  entry('disk'),
  entry('cloud'),
  entry('hen', { integrations: { egg: { required: true, compatible: [{ app: 'egg', default: true }] } } }),
  entry('egg', { integrations: { hen: { required: true, compatible: [{ app: 'hen', default: true }] } } }),
]
