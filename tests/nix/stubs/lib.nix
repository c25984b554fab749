# Stand-in for `lib` of nixpkgs with only the functions that nix/*.nix use, so that the tests need no nixpkgs.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    head
    listToAttrs
    mapAttrs
    replaceStrings
    stringLength
    substring
    tail
    ;

  definitions = import ./definitions.nix;
  inherit (definitions)
    unique
    nameValuePair
    mkOverride
    mkOrder
    mkIf
    mkMerge
    mkOption
    ;

  evalModules = import ./modules.nix { inherit definitions lib; };
  types = import ./types.nix { inherit definitions evalModules; };

  escapeShellArg = text: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";

  lib = {
    inherit
      all
      any
      attrNames
      attrValues
      concatLists
      concatMap
      concatStringsSep
      elem
      escapeShellArg
      evalModules
      filter
      head
      listToAttrs
      mapAttrs
      mkIf
      mkMerge
      mkOption
      mkOrder
      mkOverride
      nameValuePair
      replaceStrings
      tail
      types
      unique
      ;
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkBefore = mkOrder 500;
    mkAfter = mkOrder 1500;
    mkEnableOption =
      what:
      mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${what}.";
      };
    literalExpression = text: text;
    boolToString = value: if value then "true" else "false";
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: attributes: if condition then attributes else { };
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text;
    concatMapStringsSep = separator: change: values: concatStringsSep separator (map change values);
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    mapAttrsToList = change: set: map (name: change name set.${name}) (attrNames set);
    mapAttrs' = change: set: listToAttrs (map (name: change name set.${name}) (attrNames set));
    genAttrs = names: value: listToAttrs (map (name: nameValuePair name (value name)) names);
    importJSON = file: builtins.fromJSON (builtins.readFile file);
    versionAtLeast = a: b: builtins.compareVersions a b >= 0;
    licenses.mit = { };
  };
in
lib
