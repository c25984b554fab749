# Stand-in for `evalModules` of nixpkgs, with imports, submodules, freeform settings and an error for unknown
# options.
{ definitions, lib }:
let
  inherit (builtins)
    any
    attrNames
    concatMap
    filter
    foldl'
    head
    isFunction
    isString
    mapAttrs
    ;
  inherit (definitions)
    unique
    showPath
    isKind
    mkOverride
    pushDown
    mergeAs
    ;
in
{
  modules,
  specialArgs ? { },
  location ? [ ],
}:
let
  arguments = specialArgs // {
    inherit config options;
    lib = specialArgs.lib or lib;
  };
  load =
    given:
    let
      loaded = if builtins.isPath given || isString given then import given else given;
      module = if isFunction loaded then loaded arguments else loaded;
      isShort = !(module ? config || module ? options);
      shape = {
        # Path of the imported file, so that a file that is imported twice is used only once.
        key = if builtins.isPath given || isString given then toString given else null;
        options = module.options or { };
        freeformType = module.freeformType or null;
        config =
          if isShort then
            removeAttrs module [
              "imports"
              "freeformType"
              "_file"
            ]
          else
            module.config or { };
      };
    in
    [ shape ] ++ concatMap load (module.imports or [ ]);

  isLoaded = module: found: module.key != null && any (other: other.key == module.key) found;
  loaded = foldl' (found: module: if isLoaded module found then found else found ++ [ module ]) [ ] (
    concatMap load modules
  );
  freeform = foldl' (
    found: module: if module.freeformType != null then module.freeformType else found
  ) null loaded;
  options = foldl' mergeOptions { } (map (module: module.options) loaded);
  mergeOptions =
    a: b:
    a
    // mapAttrs (
      name: value:
      if !(a ? ${name}) then
        value
      else if isKind "option" value || isKind "option" a.${name} then
        throw "The option `${name}' is declared twice."
      else
        mergeOptions a.${name} value
    ) b;

  walk =
    here: tree: definitions:
    let
      flat = concatMap pushDown definitions;
      at = name: concatMap (definition: if definition ? ${name} then [ definition.${name} ] else [ ]) flat;
      unknown = filter (name: !(tree ? ${name})) (unique (concatMap attrNames flat));
      extra =
        if unknown == [ ] then
          { }
        else if freeform != null && here == location then
          freeform.merge here (map (definition: removeAttrs definition (attrNames tree)) flat)
        else
          throw "The option `${showPath (here ++ [ (head unknown) ])}' does not exist.";
      value =
        name: option:
        let
          path = here ++ [ name ];
          fallback = if option ? default then [ (mkOverride 1500 option.default) ] else [ ];
        in
        if isKind "option" option then
          mergeAs option.type path (at name ++ fallback)
        else
          walk path option (at name);
    in
    mapAttrs value tree // extra;

  config = walk location options (map (module: module.config) loaded);
in
{
  inherit config options;
}
