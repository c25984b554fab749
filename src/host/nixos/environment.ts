import {
  type Environment,
  NIX_VARIABLES,
  SYSTEM_VARIABLES,
  selectVariables,
} from '../../system/environment.ts'

/** Returns the environment of the switch command (`nixos-rebuild switch`). */
export const rebuildEnvironment = (given: NodeJS.ProcessEnv): Environment =>
  selectVariables(given, SYSTEM_VARIABLES, NIX_VARIABLES)
