# Options of one app, `bloud.apps.<name>`. The patterns exclude characters with a special meaning in a shell,
# because the values become arguments of podman and parts of scripts.
{ lib }:
let
  inherit (lib) mkOption types;
  state = "/var/lib/bloud/nixos";

  # NixOS puts the image name unquoted into a shell script, so the name may contain no shell code.
  image = types.strMatching "[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}";
  volumeName = types.strMatching "[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}";
  # podman would read text after a colon or comma in a path as options, so a path may contain neither.
  containerPath = types.strMatching "/[A-Za-z0-9_./@+-]*";
  secretFile = types.strMatching (
    "${state}/(secrets|clients)/[A-Za-z0-9_./-]+|/run/[A-Za-z0-9_./-]+|/etc/[A-Za-z0-9_./-]+"
  );
  word = types.strMatching "[a-z][a-z0-9-]{0,30}";
  named = lib.mapAttrs (_: type: mkOption { inherit type; });
  readOnly = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the container may only read it.";
  };
in
{
  enable = mkOption {
    type = types.bool;
    default = true;
    description = "Whether this app may run. `false` overrides the page and keeps the app's data.";
  };
  image = mkOption {
    type = types.nullOr image;
    default = null;
    description = "Image of the container. `null`: the app has no container.";
  };
  port = mkOption {
    type = types.port;
    description = "TCP port on this machine.";
  };
  containerPort = mkOption {
    type = types.port;
    description = "TCP port in the container.";
  };
  volumes = mkOption {
    type = types.listOf (
      types.submodule {
        options = named {
          name = volumeName;
          container = containerPath;
        } // { inherit readOnly; };
      }
    );
    default = [ ];
    description = ''
      Directories of the app's data, /var/lib/bloud/apps/<app>/<name>, and their paths in the container.
    '';
  };
  mounts = mkOption {
    type = types.listOf (
      types.submodule {
        options = named {
          host = types.enum [
            "${state}/blueprints"
            "${state}/clients"
          ];
          container = containerPath;
        } // { inherit readOnly; };
      }
    );
    default = [ ];
    description = "Directories that the agent writes for the identity provider, and their container paths.";
  };
  environment = mkOption {
    type = types.attrsOf types.str;
    default = { };
    description = "Environment variables. No secrets here, because the Nix store is world-readable.";
  };
  secretFiles = mkOption {
    type = types.attrsOf secretFile;
    default = { };
    description = "Environment variables whose value is the content of a file.";
  };
  dependsOn = mkOption {
    type = types.listOf types.str;
    default = [ ];
    description = "Apps that are started before this app, if they are installed.";
  };
  database = mkOption {
    type = types.nullOr (
      types.submodule {
        options = named {
          name = types.strMatching "[a-z][a-z0-9_]{0,62}";
          role = types.strMatching "[a-z][a-z0-9_]{0,62}";
          passwordFile = secretFile;
        };
      }
    );
    default = null;
    description = "PostgreSQL database and role of this app alone. Both have the same name.";
  };
  resources = mkOption {
    type = types.nullOr (types.attrsOf types.anything);
    default = null;
    example = {
      memory = "2G";
      cpus = 1.5;
    };
    description = "Limits of the container: memory and CPUs.";
  };
  command = mkOption {
    type = types.listOf word;
    default = [ ];
    example = [ "server" ];
    description = "Arguments for the image's entry point; by default those of the image.";
  };
  worker = mkOption {
    type = types.listOf word;
    default = [ ];
    example = [ "worker" ];
    description = "Arguments for a second container with the same variables, secrets and volumes.";
  };
  user = mkOption {
    type = types.nullOr (types.strMatching "[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?");
    default = null;
    description = "User, and optionally group, in the container; by default those of the image.";
  };
  extraOptions = mkOption {
    type = types.listOf types.str;
    default = [ ];
    description = "Further arguments of `podman run`. Only for the operator: the agent never writes any.";
  };
}
