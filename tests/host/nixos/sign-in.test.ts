import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { WantedApp } from '../../../src/host/contract.ts'
import { appBlueprint } from '../../../src/host/nixos/blueprint.ts'
import { readSso } from '../../../src/host/nixos/sso.ts'
import { toBlueprint } from '../../../src/host/nixos/yaml.ts'
import { hasPyYaml, readBlueprint, readByPython } from '../../support/blueprints.ts'
import { hostileTexts } from '../../support/hostile-texts.ts'
import { createTestMachine, image } from '../../support/nixos-host.ts'

const app = (name: string, more: object = {}): WantedApp => ({
  name,
  port: 8000,
  catalog: image(name, 8000, more),
  integrationConfig: {},
})

const oidc = (name: string) =>
  app(name, {
    sso: {
      strategy: 'native-oidc',
      callbackPath: '/login/callback',
      providerName: 'Home',
      userCreation: true,
      env: {
        clientId: 'OIDC_ID',
        clientSecret: 'OIDC_SECRET',
        discoveryUrl: 'OIDC_DISCOVERY',
        issuer: 'OIDC_ISSUER',
        redirectUrl: 'OIDC_REDIRECT',
        serverHostname: 'PUBLIC_URL',
        provider: 'OIDC_PROVIDER',
        providerName: 'OIDC_NAME',
        userCreation: 'OIDC_SIGNUP',
      },
    },
  })
const forward = (name: string) => app(name, { sso: { strategy: 'forward-auth' } })
const ldap = (name: string) => app(name, { sso: { strategy: 'ldap' } })
const authentik = app('authentik')

async function machine(t: Parameters<typeof createTestMachine>[0]) {
  const base = await createTestMachine(t)
  const read = async (file: string) =>
    readBlueprint(await readFile(join(base.paths.blueprints, file), 'utf8'))
  const entry = async (file: string, model: string) =>
    (await read(file)).entries.find((each) => each.model === model)
  return { ...base, read, entry, files: () => readdir(base.paths.blueprints) }
}

test('an app with native OIDC gets a confidential client limited to its own addresses', async (t) => {
  const { host, entry, paths } = await machine(t)
  assert.deepEqual(await host.configure([authentik, oidc('wiki')]), { warnings: {} })
  const { attrs } = await entry('wiki.yaml', 'authentik_providers_oauth2.oauth2provider')
  assert.equal(attrs.client_type, 'confidential')
  assert.equal(attrs.client_id, 'bloud-wiki')
  assert.deepEqual(attrs.client_secret, { tag: '!File', value: join(paths.clients, 'wiki') })
  assert.deepEqual(attrs.redirect_uris, [
    { matching_mode: 'strict', url: 'https://wiki.home.example/login/callback' },
    { matching_mode: 'strict', url: 'http://localhost:8000/login/callback' },
  ])
  const application = await entry('wiki.yaml', 'authentik_core.application')
  assert.deepEqual(application.identifiers, { slug: 'bloud-wiki' })
  assert.deepEqual(application.attrs.provider, { tag: '!KeyOf', value: 'provider' })
})

test('an app gets its sign-in settings as environment variables and its secret as a file name', async (t) => {
  const { host, paths } = await machine(t)
  await host.configure([authentik, oidc('wiki')])
  const { apps } = JSON.parse(await readFile(paths.apps, 'utf8'))
  const issuer = 'https://authentik.home.example/application/o/bloud-wiki/'
  assert.deepEqual(apps[1].environment, {
    OIDC_ID: 'bloud-wiki',
    OIDC_DISCOVERY: `${issuer}.well-known/openid-configuration`,
    OIDC_ISSUER: issuer,
    OIDC_NAME: 'Home',
    OIDC_PROVIDER: 'oidc',
    OIDC_REDIRECT: 'https://wiki.home.example/login/callback',
    OIDC_SIGNUP: 'true',
    PUBLIC_URL: 'https://wiki.home.example',
  })
  assert.deepEqual(apps[1].secretFiles, { OIDC_SECRET: join(paths.clients, 'wiki') })
  assert.match(await readFile(join(paths.clients, 'wiki'), 'utf8'), /^[\w-]{43}$/)
  assert.deepEqual(apps[0].mounts, [
    { container: '/blueprints/bloud', host: paths.blueprints, readOnly: true },
    { container: paths.clients, host: paths.clients, readOnly: true },
  ])
})

test('without an identity provider an app gets no sign-in settings', async (t) => {
  const { host, paths } = await machine(t)
  await host.configure([oidc('wiki')])
  const { apps } = JSON.parse(await readFile(paths.apps, 'utf8'))
  assert.deepEqual([apps[0].environment, apps[0].secretFiles], [{}, {}])
})

test('apps with forward-auth share one outpost, whose providers are listed in one blueprint', async (t) => {
  const { host, entry, read } = await machine(t)
  await host.configure([authentik, forward('one'), forward('two'), ldap('films')])
  const { attrs } = await entry('two.yaml', 'authentik_providers_proxy.proxyprovider')
  assert.equal(attrs.mode, 'forward_single')
  assert.equal(attrs.external_host, 'https://two.home.example')
  const { entries } = await read('_outposts.yaml')
  const [proxy, directory] = entries.filter((each) => each.model === 'authentik_outposts.outpost')
  const find = (model: string, name: string) => ({ tag: '!Find', value: [model, ['name', name]] })
  const proxyModel = 'authentik_providers_proxy.proxyprovider'
  assert.deepEqual(proxy.attrs.providers, [find(proxyModel, 'bloud-one'), find(proxyModel, 'bloud-two')])
  assert.deepEqual(directory.attrs.providers, [find('authentik_providers_ldap.ldapprovider', 'bloud-films')])
  const groups = (await read('films.yaml')).entries.filter((each) => each.model === 'authentik_core.group')
  assert.deepEqual(
    groups.map((each) => [each.state, each.identifiers.name]),
    [
      ['created', 'bloud-films-users'],
      ['created', 'bloud-films-admins'],
    ],
  )
})

test('the sign-in of an uninstalled app is deleted in authentik, and created again with the app', async (t) => {
  const { host, files, read } = await machine(t)
  await host.configure([authentik, oidc('wiki'), forward('notes')])
  assert.deepEqual(await files(), ['_outposts.yaml', 'notes.yaml', 'wiki.yaml'])
  await host.configure([authentik])
  assert.deepEqual(await files(), ['_removed.yaml'])
  const removed = (await read('_removed.yaml')).entries
  assert.ok(removed.every((each) => each.state === 'absent'))
  assert.ok(removed.some((each) => each.identifiers.slug === 'bloud-wiki'))
  await host.configure([authentik, oidc('wiki')])
  assert.deepEqual(await files(), ['_removed.yaml', 'wiki.yaml'])
  assert.ok((await read('_removed.yaml')).entries.every((each) => !/wiki/.test(JSON.stringify(each))))
})

test('a sign-in that cannot be set up is a warning for its app, and the other apps are set up', async (t) => {
  const { host, another, files, paths } = await machine(t)
  const odd = app('odd', { sso: { strategy: 'magic' } })
  const pathless = app('pathless', { sso: { strategy: 'native-oidc' } })
  const { warnings } = await host.configure([authentik, odd, oidc('wiki'), pathless])
  assert.deepEqual(Object.keys(warnings), ['odd', 'pathless'])
  assert.match(warnings.odd?.[0] ?? '', /^Single sign-on is not set up: sso\.strategy in its catalog file/)
  assert.match(warnings.pathless?.[0] ?? '', /sso\.callbackPath is missing/)
  assert.deepEqual(await files(), ['wiki.yaml'])
  assert.equal(JSON.parse(await readFile(paths.apps, 'utf8')).apps.length, 4)

  const homeless = await another({ baseUrls: [] }).configure([authentik, oidc('wiki')])
  assert.match(homeless.warnings.wiki?.[0] ?? '', /set BLOUD_BASE_URLS/)
  await rm(join(paths.state, 'host-secret'))
  await writeFile(join(paths.state, 'host-secret'), 'short')
  const secretless = await host.configure([authentik, oidc('wiki')])
  assert.match(secretless.warnings.wiki?.[0] ?? '', /contains 5 bytes/)
})

const texts = hostileTexts(500)
const hostile = texts.map((text) => {
  const addresses = { baseUrls: ['https://{app}.example'], ssoUrl: undefined }
  const sso = readSso({ ...oidc('wiki'), catalog: { ...oidc('wiki').catalog, displayName: text } }, addresses)
  assert.ok(sso)
  return toBlueprint(appBlueprint({ ...sso, redirectUrls: [text] }, `/secrets/${text}`))
})
// biome-ignore lint/suspicious/noExplicitAny: the type of parsed YAML is unknown
const hostileParts = (blueprint: any) => {
  const [provider, application] = blueprint.entries.slice(-2)
  return [application.attrs.name, provider.attrs.redirect_uris[0].url, provider.attrs.client_secret.value]
}
const expected = texts.map((text) => [text, text, `/secrets/${text}`])

test('a second YAML parser reads hostile texts in a blueprint unchanged', () => {
  assert.deepEqual(hostile.map(readBlueprint).map(hostileParts), expected)
})

test("authentik's YAML parser reads hostile texts in a blueprint unchanged", {
  skip: hasPyYaml ? false : 'no PyYAML here',
}, () => {
  assert.deepEqual(readByPython(hostile).map(hostileParts), expected)
})
