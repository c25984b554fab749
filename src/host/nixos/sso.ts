/** Computes the single sign-on settings of an app. */
import { z } from 'zod'
import { anyText } from '../../domain/catalog.ts'
import type { WantedApp } from '../contract.ts'

export const IDENTITY_APP = 'authentik'
const IDENTITY_PORT = 9000
/** Prefix of the names of Bloud's objects in authentik, so that Bloud does not overwrite other objects. */
const PREFIX = 'bloud-'

const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
const ENV_KEYS = [
  'clientId',
  'clientSecret',
  'discoveryUrl',
  'issuer',
  'serverHostname',
  'redirectUrl',
  'provider',
  'providerName',
  'userCreation',
] as const
type EnvKey = (typeof ENV_KEYS)[number]

const ssoSchema = z.object({
  strategy: z.enum(['native-oidc', 'forward-auth', 'ldap']),
  callbackPath: z.string().startsWith('/').optional(),
  providerName: anyText.pipe(z.string().min(1)).optional(),
  userCreation: anyText.optional(),
  env: z.record(z.enum(ENV_KEYS), envName).default({}),
})

export interface Addresses {
  /** URLs of apps, with the placeholders `{app}` (name) and `{port}`. */
  baseUrls: string[]
  /** URL of authentik. If undefined, the URL is computed from `baseUrls`. */
  ssoUrl: string | undefined
}

export interface Sso {
  app: string
  displayName: string
  strategy: 'native-oidc' | 'forward-auth' | 'ldap'
  /** Name of the app's provider in authentik. Also the slug of the application and the OAuth client id. */
  name: string
  urls: string[]
  redirectUrls: string[]
  issuer: string
  identityUrl: string
  /** Environment variables with sign-in settings, without the client secret. */
  environment: Record<string, string>
  /** Name of the environment variable that contains the OAuth client secret. */
  secretVariable: string | undefined
}

/** Returns the name of the app's objects in authentik. */
export const ssoName = (app: string): string => `${PREFIX}${app}`

/**
 * Returns the single sign-on settings of an app. Returns undefined if the catalog file has no `sso` section.
 * @throws an error with a message for the operator if single sign-on can't be set up.
 */
export function readSso({ name, port, catalog }: WantedApp, addresses: Addresses): Sso | undefined {
  if (catalog.sso === undefined) return undefined
  const parsed = ssoSchema.safeParse(catalog.sso)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new Error(`sso.${issue?.path.join('.')} in its catalog file is not valid: ${issue?.message}`)
  }
  const { strategy, callbackPath, env, ...named } = parsed.data
  const urls = addressesOf(name, port, addresses.baseUrls)
  if (urls.length === 0) throw new Error('no address of this machine is known: set BLOUD_BASE_URLS')
  if (strategy === 'native-oidc' && callbackPath === undefined) {
    throw new Error('sso.callbackPath is missing in its catalog file: native-oidc requires it')
  }
  const identityUrl = addresses.ssoUrl ?? addressesOf(IDENTITY_APP, IDENTITY_PORT, addresses.baseUrls)[0]
  const issuer = `${trimSlash(identityUrl ?? '')}/application/o/${ssoName(name)}/`
  const redirectUrls = urls.map((url) => `${url}${callbackPath ?? ''}`)
  const values: Record<Exclude<EnvKey, 'clientSecret'>, string | undefined> = {
    clientId: ssoName(name),
    discoveryUrl: `${issuer}.well-known/openid-configuration`,
    issuer,
    serverHostname: urls[0],
    redirectUrl: redirectUrls[0],
    provider: 'oidc',
    providerName: named.providerName ?? IDENTITY_APP,
    userCreation: named.userCreation,
  }
  const isClient = strategy === 'native-oidc'
  return {
    app: name,
    displayName: catalog.displayName,
    strategy,
    name: ssoName(name),
    urls,
    redirectUrls,
    issuer,
    identityUrl: trimSlash(identityUrl ?? ''),
    environment: isClient ? mapEnvironment(env, values) : {},
    secretVariable: isClient ? env.clientSecret : undefined,
  }
}

function addressesOf(app: string, port: number, baseUrls: string[]): string[] {
  const filled = baseUrls.map((url) => url.replaceAll('{app}', app).replaceAll('{port}', String(port)))
  return [...new Set(filled.map(trimSlash))]
}

const trimSlash = (url: string) => url.replace(/\/+$/, '')

function mapEnvironment(
  env: Partial<Record<EnvKey, string>>,
  values: Partial<Record<EnvKey, string | undefined>>,
): Record<string, string> {
  const pairs = ENV_KEYS.flatMap((key): [string, string][] => {
    const [variable, value] = [env[key], values[key]]
    return variable !== undefined && value !== undefined ? [[variable, value]] : []
  })
  return Object.fromEntries(pairs)
}
