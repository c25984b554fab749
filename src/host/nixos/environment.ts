/**
 * Pattern of the environment variables that Nix needs. Other variables are not passed on, because they may
 * contain secrets.
 */
const NIX_VARIABLES =
  /^(path|home|user|logname|lang|lc_\w+|tz|tmpdir|nix_path|nix_remote|nix_ssl_cert_file|nix_config|nixos_config|locale_archive|(https?|no|all)_proxy|ssl_cert_(file|dir))$/i

export function rebuildEnvironment(given: NodeJS.ProcessEnv): Record<string, string> {
  const kept = Object.entries(given).filter(
    ([name, value]) => value !== undefined && NIX_VARIABLES.test(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}
