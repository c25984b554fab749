/** Single sign-on of one app: what its catalog file asks for, and what follows from the addresses of this machine. */
import { z } from 'zod'
import type { WantedApp } from '../contract.ts'

/** The catalog app that signs people in. */
export const IDENTITY_APP = 'authentik'
const IDENTITY_PORT = 9000
/** Stands before every name we use in authentik, so that nothing a person made there is ever overwritten. */
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
  providerName: z.string().min(1).optional(),
  userCreation: z.union([z.boolean(), z.number(), z.string()]).transform(String).optional(),
  env: z.record(z.enum(ENV_KEYS), envName).default({}),
})

export interface Addresses {
  /** Where apps are reached from outside; `{app}` and `{port}` stand for the app's. */
  baseUrls: string[]
  /** Where authentik is reached from outside; undefined: as any other app. */
  ssoUrl: string | undefined
}

export interface Sso {
  app: string
  displayName: string
  strategy: 'native-oidc' | 'forward-auth' | 'ldap'
  /** The name of provider, application (its slug) and client in authentik. */
  name: string
  /** Where the app is reached; at least one, but for ldap. */
  urls: string[]
  redirectUrls: string[]
  issuer: string
  /** Where people sign in. */
  identityUrl: string
  /** Not secret: by the name of the environment variable. */
  environment: Record<string, string>
  /** The environment variable that holds the client secret. */
  secretVariable: string | undefined
}

export const ssoName = (app: string): string => `${PREFIX}${app}`

/** @throws with a sentence for a person when it can't be done; undefined when the app asks for none. */
export function readSso({ name, port, catalog }: WantedApp, addresses: Addresses): Sso | undefined {
  if (catalog.sso === undefined) return undefined
  const parsed = ssoSchema.safeParse(catalog.sso)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new Error(`sso.${issue?.path.join('.')} of its catalog file: ${issue?.message}`)
  }
  const { strategy, callbackPath, env, ...named } = parsed.data
  const urls = addressesOf(name, port, addresses.baseUrls)
  if (urls.length === 0) throw new Error('no address of this machine is known: set BLOUD_BASE_URLS')
  if (strategy === 'native-oidc' && callbackPath === undefined) {
    throw new Error('sso.callbackPath is missing in its catalog file')
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
