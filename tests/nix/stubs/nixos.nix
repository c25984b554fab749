# Stand-in for NixOS that declares the options set by nix/*.nix without implementing them.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  option = default: type: mkOption { inherit default type; };
  list = option [ ] (types.listOf types.str);
  loose = option { } (types.attrsOf types.anything);
  directives = loose;
  unit = {
    freeformType = types.attrsOf types.anything;
    options = {
      after = list;
      before = list;
      wants = list;
      requires = list;
      wantedBy = list;
      path = option [ ] (types.listOf types.anything);
      environment = option { } (types.attrsOf (types.nullOr types.str));
      serviceConfig = directives;
      partOf = list;
    };
  };
  units = option { } (types.attrsOf (types.submodule unit));
  container.options = {
    image = mkOption { type = types.str; };
    serviceName = mkOption { type = types.str; };
    environment = option { } (types.attrsOf types.str);
    user = option null (types.nullOr types.str);
    cmd = list;
    ports = list;
    volumes = list;
    labels = option { } (types.attrsOf types.str);
    extraOptions = list;
  };
  package = name: {
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
    type = "derivation";
    inherit name;
  };
in
{
  options = {
    assertions = option [ ] (types.listOf types.anything);
    warnings = list;
    system.includeBuildDependencies = option false types.bool;
    system.switch.enable = option true types.bool;
    nix.settings = loose;
    nix.nixPath = list;
    virtualisation.cores = option 1 types.int;
    virtualisation.memorySize = option 1024 types.int;
    virtualisation.diskSize = option 1024 types.int;
    virtualisation.writableStore = option false types.bool;
    virtualisation.additionalPaths = option [ ] (types.listOf types.package);
    systemd.services = units;
    systemd.sockets = units;
    systemd.paths = units;
    systemd.tmpfiles.rules = list;
    systemd.package = option (package "systemd") types.package;
    users.users = loose;
    users.groups = loose;
    networking.firewall.allowedTCPPorts = option [ ] (types.listOf types.port);
    networking.firewall.interfaces = loose;
    networking.proxy.envVars = option { } (types.attrsOf types.str);
    nix.package = option (package "nix") types.package;
    nix.envVars = option { } (types.attrsOf types.str);
    programs.ssh.package = option (package "openssh") types.package;
    environment.sessionVariables = option { NIX_PATH = "nixpkgs=flake:nixpkgs"; } (types.attrsOf types.str);
    environment.systemPackages = option [ ] (types.listOf types.package);
    services.postgresql = {
      enable = option false types.bool;
      package = option (package "postgresql") types.package;
      ensureDatabases = list;
      ensureUsers = option [ ] (types.listOf types.anything);
      identMap = option "" types.lines;
      authentication = option "" types.lines;
    };
    virtualisation.podman.enable = option false types.bool;
    virtualisation.podman.package = option (package "podman") types.package;
    virtualisation.oci-containers.backend = option "podman" (types.enum [
      "podman"
      "docker"
    ]);
    virtualisation.oci-containers.containers = option { } (types.attrsOf (types.submodule container));
  };

  # NixOS always ends pg_hba.conf with such a line. PostgreSQL uses the first line that matches, so the lines
  # of nix/*.nix must come before it.
  config.services.postgresql.authentication = lib.mkAfter "local all all peer";
}
