/**
 * Builds authentik blueprints (YAML files that set up sign-in), one per app. A common blueprint assigns the
 * apps to the outposts (authentik's proxy and LDAP servers), because a blueprint replaces the whole list of
 * an outpost's apps.
 */
import { type Sso, ssoName } from './sso.ts'
import { type BlueprintValue, tagged } from './yaml.ts'

export type Entry = Record<string, BlueprintValue>

const find = (model: string, ...conditions: [string, string][]) => tagged('!Find', [model, ...conditions])
const keyOf = (id: string) => tagged('!KeyOf', id)
const flow = (slug: string) => find('authentik_flows.flow', ['slug', slug])

const FLOWS = {
  authorization_flow: flow('default-provider-authorization-implicit-consent'),
  invalidation_flow: flow('default-provider-invalidation-flow'),
}

/**
 * Names of blueprints that are part of authentik. They must be applied before Bloud's blueprints, which refer
 * to their objects.
 */
const SYSTEM_BLUEPRINTS = {
  base: [
    'Default - Authentication flow',
    'Default - Provider authorization flow (implicit consent)',
    'Default - Provider invalidation flow',
  ],
  oauth2: ['System - OAuth2 Provider - Scopes'],
  proxy: ['System - OAuth2 Provider - Scopes', 'System - Proxy Provider - Scopes'],
}

/**
 * Names of the blueprints that are common to all apps. They contain a blank, so no app can have the same
 * name.
 */
const OUTPOSTS_NAME = 'bloud outposts'
const REMOVED_NAME = 'bloud removed'

/**
 * Returns an entry that makes authentik apply the blueprint `name` first. With `required`, the entry fails if
 * there is no such blueprint.
 */
const after = (name: string, required: boolean): Entry => ({
  model: 'authentik_blueprints.metaapplyblueprint',
  attrs: { identifiers: { name }, required },
})

const scopes = (...names: string[]) =>
  names.map((name) =>
    find('authentik_providers_oauth2.scopemapping', ['managed', `goauthentik.io/providers/${name}`]),
  )

const OPENID_SCOPES = ['oauth2/scope-openid', 'oauth2/scope-email', 'oauth2/scope-profile']

const blueprint = (name: string, entries: Entry[]): BlueprintValue => ({
  version: 1,
  metadata: { name, labels: { 'blueprints.goauthentik.io/instantiate': 'true' } },
  entries,
})

const application = ({ name, displayName, urls }: Sso): Entry => ({
  model: 'authentik_core.application',
  id: 'application',
  identifiers: { slug: name },
  attrs: {
    name: displayName,
    provider: keyOf('provider'),
    policy_engine_mode: 'any',
    ...(urls[0] !== undefined && { meta_launch_url: urls[0] }),
  },
})

/**
 * Returns an OAuth2 provider that refers to the file of the client secret, so that the blueprint does not
 * contain the secret.
 */
function oauth2Provider({ name, redirectUrls }: Sso, secretFile: string): Entry {
  return {
    model: 'authentik_providers_oauth2.oauth2provider',
    id: 'provider',
    identifiers: { name },
    attrs: {
      ...FLOWS,
      client_type: 'confidential',
      client_id: name,
      client_secret: tagged('!File', secretFile),
      // Without this attribute, newer versions of authentik allow no grant type. Older versions ignore the
      // attribute.
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: redirectUrls.map((url) => ({ matching_mode: 'strict', url })),
      property_mappings: scopes(...OPENID_SCOPES),
      signing_key: find('authentik_crypto.certificatekeypair', ['name', 'authentik Self-signed Certificate']),
      sub_mode: 'hashed_user_id',
      include_claims_in_id_token: true,
    },
  }
}

/** Returns a provider with which a reverse proxy lets only signed-in users reach the app. */
const proxyProvider = ({ name, urls }: Sso): Entry => ({
  model: 'authentik_providers_proxy.proxyprovider',
  id: 'provider',
  identifiers: { name },
  attrs: {
    ...FLOWS,
    mode: 'forward_single',
    external_host: urls[0] ?? '',
    property_mappings: scopes(...OPENID_SCOPES, 'proxy/scope-proxy'),
  },
})

const ldapProvider = ({ app, name }: Sso): Entry => ({
  model: 'authentik_providers_ldap.ldapprovider',
  id: 'provider',
  identifiers: { name },
  attrs: {
    authorization_flow: flow('default-authentication-flow'),
    invalidation_flow: FLOWS.invalidation_flow,
    // Each app has its own base DN, by which the shared LDAP server distinguishes the apps.
    base_dn: `DC=${app},DC=bloud`,
    bind_mode: 'direct',
    search_mode: 'direct',
  },
})

/**
 * Returns an entry that creates a group if the group is missing. An existing group is not changed, because
 * the operator manages its members.
 */
const group = (name: string): Entry => ({
  model: 'authentik_core.group',
  state: 'created',
  identifiers: { name },
  attrs: { is_superuser: false },
})

export function appBlueprint(sso: Sso, secretFile: string): BlueprintValue {
  const { base, oauth2, proxy } = SYSTEM_BLUEPRINTS
  const entries = {
    'native-oidc': () => [...needs(base, oauth2), oauth2Provider(sso, secretFile), application(sso)],
    'forward-auth': () => [...needs(base, proxy), proxyProvider(sso), application(sso)],
    ldap: () => [
      ...needs(base),
      group(`${sso.name}-users`),
      group(`${sso.name}-admins`),
      ldapProvider(sso),
      application(sso),
    ],
  }
  return blueprint(sso.name, entries[sso.strategy]())
}

const needs = (...lists: string[][]): Entry[] => lists.flat().map((name) => after(name, false))

const outpost = (identifiers: Entry, type: string, model: string, apps: Sso[]): Entry => ({
  model: 'authentik_outposts.outpost',
  identifiers,
  attrs: {
    type,
    config: { authentik_host: apps[0]?.identityUrl ?? '' },
    providers: apps.map(({ name }) => find(model, ['name', name])),
  },
})

/**
 * Returns the blueprint that assigns the apps to outposts (authentik's proxy and LDAP servers). Returns null
 * if no app needs an outpost.
 */
export function outpostsBlueprint(all: Sso[]): BlueprintValue | null {
  const proxied = all.filter(({ strategy }) => strategy === 'forward-auth')
  const ldap = all.filter(({ strategy }) => strategy === 'ldap')
  if (proxied.length + ldap.length === 0) return null
  const entries = [...proxied, ...ldap].map(({ name }) => after(name, true))
  if (proxied.length > 0) {
    const embedded = { managed: 'goauthentik.io/outposts/embedded' }
    entries.push(outpost(embedded, 'proxy', 'authentik_providers_proxy.proxyprovider', proxied))
  }
  if (ldap.length > 0) {
    entries.push(outpost({ name: 'bloud-ldap' }, 'ldap', 'authentik_providers_ldap.ldapprovider', ldap))
  }
  return blueprint(OUTPOSTS_NAME, entries)
}

const PROVIDER_MODELS = [
  'authentik_providers_oauth2.oauth2provider',
  'authentik_providers_proxy.proxyprovider',
  'authentik_providers_ldap.ldapprovider',
]

/**
 * Returns the blueprint that deletes the applications and providers of uninstalled apps. Deleting an app's
 * blueprint is not enough, because authentik keeps the objects of a deleted blueprint.
 */
export function removalBlueprint(apps: string[]): BlueprintValue {
  const absent = (model: string, identifiers: Entry): Entry => ({
    model,
    state: 'absent',
    identifiers,
    attrs: {},
  })
  const entries = apps.flatMap((app) => [
    absent('authentik_core.application', { slug: ssoName(app) }),
    ...PROVIDER_MODELS.map((model) => absent(model, { name: ssoName(app) })),
  ])
  return blueprint(REMOVED_NAME, entries)
}
