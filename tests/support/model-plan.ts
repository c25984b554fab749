/** Computes in the model of the database (tests/support/model.ts) which apps an install includes. */
import { type App, type Choices, installed, refusalOfInstall, type Slot, type World } from './model-rules.ts'

export interface Plan {
  installs: string[]
  config: Record<string, App['config']>
  blockers: string[]
}

/**
 * Returns the apps for an integration slot (need of an app, such as its database), or an SQLSTATE if the
 * operator's
 * choice is missing or not possible.
 */
function fill(world: World, slot: Slot, choice: string | string[] | undefined): string[] | string {
  if (choice !== undefined) {
    const chosen = [choice].flat()
    const fits = chosen.every((each) => slot.compatible.includes(each))
    const few = chosen.length <= 1 || slot.multi
    return fits && few && !(chosen.length === 0 && slot.required) ? chosen : 'BL008'
  }
  const present = slot.compatible.filter((each) => installed(world, each)).sort()
  if (present.length === 1 || (present.length > 1 && slot.multi)) return present
  if (present.length > 1) return 'BL007'
  if (!slot.required) return []
  return slot.default ? [slot.default] : 'BL007'
}

export function planInstall(world: World, name: string, choices: Choices): Plan {
  const plan: Plan = { installs: [], config: {}, blockers: [] }
  resolve(world, name, choices, [], plan)
  for (const each of plan.installs) {
    const refusal = refusalOfInstall(world, each)
    if (refusal) plan.blockers.push(refusal)
  }
  const ports = plan.installs.flatMap((each) => world.catalog[each]?.port ?? [])
  if (new Set(ports).size < ports.length) plan.blockers.push('BL012')
  const slots = Object.entries(world.catalog).flatMap(([app, entry]) =>
    Object.keys(entry.slots ?? {}).flatMap((slot) => [`${app}.${slot}`, ...(app === name ? [slot] : [])]),
  )
  if (Object.keys(choices).some((key) => !slots.includes(key))) plan.blockers.push('BL017')
  return plan
}

function resolve(world: World, name: string, choices: Choices, path: string[], plan: Plan): void {
  if (path.includes(name)) plan.blockers.push('BL009')
  else if (!world.catalog[name]) plan.blockers.push('BL001')
  if (plan.config[name] || path.includes(name) || !world.catalog[name]) return
  const config: App['config'] = {}
  plan.config[name] = config
  for (const [key, slot] of Object.entries(world.catalog[name].slots ?? {}).sort()) {
    const earlier = world.apps[name]?.config[key]
    const choice =
      choices[`${name}.${key}`] ??
      (path.length === 0 ? choices[key] : undefined) ??
      (earlier?.length ? earlier : undefined)
    const chosen = fill(world, slot, choice)
    if (typeof chosen === 'string') {
      plan.blockers.push(chosen)
      continue
    }
    config[key] = chosen
    for (const each of chosen.filter((other) => !installed(world, other))) {
      resolve(world, each, choices, [...path, name], plan)
    }
  }
  plan.installs.push(name)
}
