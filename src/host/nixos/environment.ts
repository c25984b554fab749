/**
 * Environment variables that the agent passes to a rebuild it starts itself: those Nix needs, none with a
 * secret.
 */
const NIX_VARIABLES =
  /^(path|home|user|logname|lang|lc_\w+|tz|tmpdir|nix_path|nix_remote|nix_ssl_cert_file|nix_config|nixos_config|locale_archive|(https?|no|all)_proxy|ssl_cert_(file|dir))$/i

/** Filters the agent's environment for a rebuild. */
export function rebuildEnvironment(given: NodeJS.ProcessEnv): Record<string, string> {
  const kept = Object.entries(given).filter(
    ([name, value]) => value !== undefined && NIX_VARIABLES.test(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}
