# Tests the NixOS module in a virtual machine that rebuilds itself. The test needs KVM and NixOS packages:
#   nix build .#checks.x86_64-linux.machine
{ module }:
{ pkgs, lib, ... }:
let
  image =
    name: script:
    pkgs.dockerTools.buildImage {
      name = "localhost/${name}";
      tag = "1";
      copyToRoot = [ pkgs.busybox ];
      config.Cmd = [
        "/bin/sh"
        "-c"
        script
      ];
    };
  good = image "good" "mkdir -p /www && echo hello > /www/index.html && exec httpd -f -p 8080 -h /www";
  bad = image "bad" "echo 'cannot open its configuration'; exit 3";

  entry =
    name: port:
    pkgs.writeText "${name}.yaml" (
      builtins.toJSON {
        inherit name port;
        displayName = name;
        category = "test";
        image = "localhost/${name}:1";
        containerPort = 8080;
        volumes = [ "data:/data" ];
        healthCheck = {
          path = "/";
          interval = 1;
          timeout = 20;
        };
      }
    );
  catalog = pkgs.runCommand "catalog" { } ''
    mkdir $out
    cp ${entry "good" 8081} $out/good.yaml
    cp ${entry "bad" 8082} $out/bad.yaml
  '';

  machine = {
    imports = [ module ];
    services.bloud = {
      enable = true;
      catalogDir = catalog;
      rebuildCommand = [
        "/run/current-system/sw/bin/nixos-rebuild"
        "switch"
      ];
      database.operators = [ "alice" ];
    };
    users.users.alice.isNormalUser = true;
    systemd.services.load-images = {
      description = "Loads the images of this test";
      wantedBy = [ "multi-user.target" ];
      before = [ "bloud-orchestrator.service" ];
      path = [ pkgs.podman ];
      script = "podman load -i ${good}; podman load -i ${bad}";
      serviceConfig.Type = "oneshot";
    };
  };

  # Configuration file from which the virtual machine rebuilds itself. The settings must be the same as in
  # `machine`.
  configuration = pkgs.writeText "configuration.nix" ''
    { lib, pkgs, modulesPath, ... }:
    {
      imports = [
        ./hardware-configuration.nix
        ${module}
        "''${modulesPath}/testing/test-instrumentation.nix"
      ];
      services.bloud = {
        enable = true;
        catalogDir = ${catalog};
        rebuildCommand = [ "/run/current-system/sw/bin/nixos-rebuild" "switch" ];
        database.operators = [ "alice" ];
      };
      users.users.alice.isNormalUser = true;
      boot.loader.grub.enable = false;
      documentation.enable = false;
    }
  '';
in
{
  name = "bloud";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ machine ];
      # The virtual machine has no network, so it must already contain all packages that a rebuild needs.
      system.includeBuildDependencies = true;
      system.switch.enable = true;
      virtualisation.cores = 2;
      virtualisation.memorySize = 4096;
      virtualisation.diskSize = 12 * 1024;
      virtualisation.writableStore = true;
      nix.settings.substituters = lib.mkForce [ ];
      nix.nixPath = [ "nixpkgs=${pkgs.path}" ];
      virtualisation.additionalPaths = [
        catalog
        configuration
      ];
    };

  testScript = ''
    import json

    def psql(statement):
        return machine.succeed(
            f"su alice -c \"psql -AtX -U bloud_psql bloud_host_agent -c \\\"{statement}\\\"\""
        ).strip()

    def wait_for_status(app, status):
        machine.wait_until_succeeds(
            f"curl -sf http://127.0.0.1:3000/api/apps/{app} | grep -q '\"status\":\"{status}\"'", timeout=600
        )

    def install(app):
        machine.succeed(f"curl -sf -X POST http://127.0.0.1:3000/api/apps/{app}/install")

    machine.start()

    with subtest("I enable the module, and the agent is ready"):
        machine.wait_for_unit("bloud-relay.service")
        machine.wait_for_unit("bloud-orchestrator.service")
        machine.succeed("curl -sf http://127.0.0.1:3000/readyz")
        machine.succeed("nixos-generate-config")
        machine.copy_from_host("${configuration}", "/etc/nixos/configuration.nix")

    with subtest("I can read with psql but not change a table, and other users can't connect"):
        assert psql("select count(*) from bloud.catalog") == "2"
        machine.fail("su alice -c \"psql -U bloud_psql bloud_host_agent -c 'delete from bloud.apps'\"")
        machine.fail("su nobody -s /bin/sh -c \"psql -U bloud_psql bloud_host_agent -c 'select 1'\"")

    with subtest("I install an app, and it is running"):
        install("good")
        wait_for_status("good", "running")
        assert "hello" in machine.succeed("curl -sf http://127.0.0.1:8081/")
        machine.succeed("systemctl is-active podman-good.service")

    with subtest("A failed app shows me its cause"):
        install("bad")
        wait_for_status("bad", "error")
        cause = json.loads(machine.succeed("curl -sf http://127.0.0.1:3000/api/apps/bad"))["cause"]
        assert any("cannot open its configuration" in line for line in cause["log"]), cause
        wait_for_status("good", "running")

    with subtest("PostgreSQL restarts during a rebuild, and the rebuild still succeeds"):
        machine.succeed("curl -sf -X POST http://127.0.0.1:3000/api/apps/bad/uninstall")
        wait_for_status("bad", "stopping")
        machine.wait_until_succeeds("systemctl show -P ActiveState bloud-rebuild.service | grep activating")
        machine.succeed("systemctl restart postgresql.service")
        wait_for_status("bad", "stopped")
        wait_for_status("good", "running")

    with subtest("I uninstall an app with its data, and the data is deleted"):
        machine.succeed("test -d /var/lib/bloud/apps/good/data")
        machine.succeed(
            "curl -sf -X POST -H 'content-type: application/json' -d '{\"purge\":\"good\"}' http://127.0.0.1:3000/api/apps/good/uninstall"
        )
        machine.wait_until_fails("test -e /var/lib/bloud/apps/good", timeout=600)

    with subtest("The relay can't read secrets, and the orchestrator can't write next to the apps' data"):
        machine.fail("systemd-run --wait -p User=bloud-relay ls /var/lib/bloud/nixos/secrets")
        machine.fail("systemd-run --wait -p User=bloud touch /var/lib/bloud/apps/x")
  '';
}
